"""What each session cost in a span of time, and percentiles of it: the raw material of reviews, plans and proofs of savings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from runguard_core.ledger import CallFilter, Store


@dataclass(frozen=True, slots=True)
class SessionCost:
    """One session of one feature within a span of time; a session of two features is two.

    Attributes:
        feature: the app where no call named one. session: the run or call where none was named.
        nanos: charged in the span, nano-USD.
    """

    feature: str
    session: str
    nanos: int


def session_costs(
    store: Store, app: str | None, since: datetime | None, until: datetime | None, agent: str | None = None
) -> tuple[SessionCost, ...]:
    """Sessions with a paid call (of an agent, where one is named) admitted in [since, until), by feature and session.

    A session that reaches over the edge of the span counts in both spans, in each with what it cost there: costs of sessions
    add up to the span's spend.
    """
    found = store.costs(("app", "feature", "conversation"), CallFilter(app=app, agent=agent, since=since, until=until))
    costs = [SessionCost(feature or its_app or "", session or "", nanos) for (its_app, feature, session), nanos in found.items()]
    return tuple(sorted(costs, key=lambda cost: (cost.feature, cost.session)))


def percentile(ordered: Sequence[int], share: float) -> int | None:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed (nearest rank); None of no values.

    Args:
        ordered: ascending. share: 0.5 is the median (of an even number of values the lower middle one).
    """
    if not ordered:
        return None
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
