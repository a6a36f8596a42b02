"""Cost beside value: what a cap on sessions loses against what it saves, and which features are worth what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class CapImpact:
    """A session limit as a trade; money in nano-USD, all of one month.

    Attributes:
        session_count: of the month; capped_count: that cost more than the limit. user_count: whose sessions were capped (a
            session without a user counts as one).
        saved_nanos: what these sessions cost above the limit.
        revenue_nanos: what the capped users bring; lost_nanos: the share of it that is taken to leave with them.
        break_even: share of the capped users who may leave before the cap loses money; None where they bring nothing.
    """

    session_count: int
    capped_count: int
    user_count: int
    saved_nanos: int
    revenue_nanos: int
    lost_nanos: int
    break_even: Fraction | None

    @property
    def net_nanos(self) -> int:
        """Saved less lost; below 0 the cap costs more than it saves."""
        return self.saved_nanos - self.lost_nanos


def trade(saved_nanos: int, revenue_nanos: int, loss: Fraction) -> tuple[int, Fraction | None]:
    """What is lost (nano-USD), and the share of loss at which saving and loss are equal.

    15 % of $180 are $27, to save $0.90: the cap pays only where less than 0.5 % leave.
    """
    return int(revenue_nanos * loss), Fraction(saved_nanos, revenue_nanos) if revenue_nanos > 0 else None


def cap_impact(sessions: Sequence[tuple[str | None, int]], limit_nanos: int, each_nanos: Fraction, loss: Fraction) -> CapImpact:
    """What a limit would do to a month's sessions.

    Args:
        sessions: (user, nano-USD) of each. limit_nanos: of a session. each_nanos: revenue of a user in the month.
        loss: share of the capped users (0 to 1) who are taken to leave.
    """
    capped = [(user, nanos) for user, nanos in sessions if nanos > limit_nanos]
    users = len({user for user, _ in capped if user is not None}) + sum(user is None for user, _ in capped)
    saved, revenue = sum(nanos - limit_nanos for _, nanos in capped), int(users * each_nanos)
    lost, even = trade(saved, revenue, loss)
    return CapImpact(
        session_count=len(sessions), capped_count=len(capped), user_count=users, saved_nanos=saved, revenue_nanos=revenue,
        lost_nanos=lost, break_even=even,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WorthRow:
    """A feature's cost beside a metric.

    Attributes:
        nanos: cost of the span, nano-USD; session_count: in it.
        metric: the figure, None where none was imported. each_nanos: cost for one of it, None where it is not above 0.
        verdict: "keep", "keep, make cheaper", "cut or mend", "leave"; "" where there is nothing to compare with.
    """

    feature: str
    nanos: int
    session_count: int
    metric: Fraction | None
    each_nanos: int | None
    verdict: str


def worth_rows(costs: Mapping[str, tuple[int, int]], metrics: Mapping[str, Fraction]) -> list[WorthRow]:
    """Features, dearest for what they bring first.

    *Dear* is above the median cost, *used* is not below the median metric, both of the features whose metric is known: dear
    and used: keep, make cheaper; dear and not used: cut or mend; used: keep; neither: leave. It takes two features.

    Args:
        costs: (nano-USD, sessions) by feature. metrics: by feature.
    """
    known = [feature for feature in costs if feature in metrics]
    middle_cost = median([costs[feature][0] for feature in known]) if known else 0
    middle = median([metrics[feature] for feature in known]) if known else 0
    rows = []
    for feature, (nanos, count) in costs.items():
        metric = metrics.get(feature)
        verdict = "" if metric is None or len(known) < 2 else _verdict(is_dear=nanos > middle_cost, is_used=metric >= middle)
        each = int(nanos / metric) if metric is not None and metric > 0 else None
        rows.append(WorthRow(
            feature=feature, nanos=nanos, session_count=count, metric=metric, each_nanos=each, verdict=verdict,
        ))  # fmt: skip
    order = {"cut or mend": 0, "keep, make cheaper": 1, "keep": 2, "leave": 3, "": 4}
    return sorted(rows, key=lambda row: (order[row.verdict], -row.nanos, row.feature))


def _verdict(*, is_dear: bool, is_used: bool) -> str:
    if is_dear:
        return "keep, make cheaper" if is_used else "cut or mend"
    return "keep" if is_used else "leave"
