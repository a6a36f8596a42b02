"""Reads from a ledger what actions saved: of one, and of all between two instants (the wins of a review)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from runguard_core.finops._session_costs import session_costs
from runguard_core.finops.actions._action import Action, ActionState
from runguard_core.finops.actions._saving import Costs, Saving, Win, saving_of
from runguard_core.finops.actions._spans import MEASURED_DAYS, spans_of
from runguard_core.ledger import Store


def measure(
    store: Store, action: Action, known: Iterable[Action], until: datetime, since: datetime | None = None,
    days: int = MEASURED_DAYS,
) -> Saving:  # fmt: skip
    """What an action saved from `since` (default: when it was shipped) to `until`, at most `days` after it was shipped.

    Args:
        known: the backlog, in which others may have been shipped on the same thing.
    """
    spans = spans_of(action, known, until, since, days)
    if spans.why_not:
        return saving_of(spans, {}, {})
    before = costs_of(store, action.app, action.feature, action.agent, spans.before_start, spans.before_end)
    after = costs_of(store, action.app, action.feature, action.agent, spans.after_start, spans.after_end)
    return saving_of(spans, before, after)


def wins(store: Store, actions: Iterable[Action], since: datetime, until: datetime, days: int = MEASURED_DAYS) -> tuple[Win, ...]:
    """What each action that was done saved in [since, until); by when it was shipped, then id.

    An action is credited for `days` after it was shipped. Wins of consecutive stretches of time do not overlap.
    """
    known = tuple(actions)
    done = [it for it in known if it.state is ActionState.DONE and it.shipped_at is not None and it.shipped_at < until]
    found = [Win(it, measure(store, it, known, until, since, days)) for it in done]
    kept = [win for win in found if win.saving.spans.after_end > win.saving.spans.after_start]
    return tuple(sorted(kept, key=lambda win: (win.saving.spans.before_end, win.action.id)))


def costs_of(store: Store, app: str | None, feature: str | None, agent: str | None, since: datetime, until: datetime) -> Costs:
    """What each session cost in [since, until), the calls of a feature or an agent only where one is named."""
    costs: dict[tuple[str, str], int] = {}
    for one in session_costs(store, app, since, until, agent):
        if feature in {None, one.feature}:
            costs[one.feature, one.session] = costs.get((one.feature, one.session), 0) + one.nanos
    return costs
