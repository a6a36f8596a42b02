"""A month against its plan, and a quarter for recalibration: one row a feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from types import MappingProxyType

from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops._session_costs import SessionCost
from runguard_core.finops.planning._ahead import usual_days
from runguard_core.finops.planning._plan import FeaturePlan, Plan
from runguard_core.finops.planning._spend import Spend, whole_windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Sessions of a feature in a span: how many, and what they cost together (nano-USD)."""

    count: int = 0
    nanos: int = 0

    @property
    def mean_nanos(self) -> int | None:
        """Cost of one, rounded down; None where there was none."""
        return self.nanos // self.count if self.count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthRow:
    """A feature in a month; amounts in nano-USD.

    Attributes:
        planned: None where the plan does not name it.
        spent_nanos: so far. expected_nanos: at the month's end, if its days left cost the mean of the last 28 whole days, and
            planned windows what they are planned to; None where no whole day is known.
        sessions: so far.
    """

    feature: str
    planned: FeaturePlan | None
    spent_nanos: int
    expected_nanos: int | None
    sessions: Sessions

    @property
    def is_over(self) -> bool:
        """Whether more was spent than planned."""
        return self.planned is not None and self.spent_nanos > self.planned.nanos

    @property
    def tracks_over(self) -> bool:
        """Whether the month is expected to end above the plan."""
        return self.planned is not None and self.expected_nanos is not None and self.expected_nanos > self.planned.nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterRow:
    """A feature in a quarter; amounts in nano-USD.

    Attributes:
        planned: of a month. spent_nanos: by month. sessions: by month.
    """

    feature: str
    planned: FeaturePlan | None
    spent_nanos: tuple[int, ...]
    sessions: tuple[Sessions, ...]

    @property
    def planned_nanos(self) -> int | None:
        """Of all months together."""
        return None if self.planned is None else self.planned.nanos * len(self.spent_nanos)

    @property
    def trend_ratio(self) -> float | None:
        """Cost per session of the last month with sessions over that of the first, less one; None with fewer than two."""
        means = [mean for one in self.sessions if (mean := one.mean_nanos)]
        return means[-1] / means[0] - 1 if len(means) > 1 else None


def sessions_by_feature(costs: Sequence[SessionCost]) -> dict[str, Sessions]:
    """How many sessions each feature had, and what they cost."""
    found: dict[str, Sessions] = {}
    for cost in costs:
        before = found.get(cost.feature, Sessions())
        found[cost.feature] = Sessions(count=before.count + 1, nanos=before.nanos + cost.nanos)
    return found


def month_rows(
    plan: Plan, spend: Spend, sessions: Mapping[str, Sessions], calendar: Calendar, month: Window, now: datetime,
    extra: Mapping[str, int] = MappingProxyType({}),
) -> list[MonthRow]:  # fmt: skip
    """The features of the plan and of the ledger, those that are planned first, the dearest first.

    Args:
        extra: nano-USD by feature that planned windows of the days left will cost above the usual.
    """
    left = Fraction(max(month.end - now, timedelta()) // timedelta(seconds=1), 86_400)
    spent, usual = spend.by_feature(month), usual_days(spend, calendar, spend.until)
    is_known = bool(whole_windows(spend, calendar, "day"))
    rows = []
    for feature in {*plan.features, *spend.features}:
        so_far = spent.get(feature, 0)
        expected = int(so_far + usual.get(feature, Fraction(0)) * left) + extra.get(feature, 0)
        rows.append(
            MonthRow(
                feature=feature,
                planned=plan.features.get(feature),
                spent_nanos=so_far,
                expected_nanos=expected if is_known else None,
                sessions=sessions.get(feature, Sessions()),
            )
        )
    return sorted(rows, key=lambda row: (row.planned is None, -row.spent_nanos, row.feature))


def quarter_rows(
    plan: Plan, spend: Spend, sessions: Sequence[Mapping[str, Sessions]], months: Sequence[Window]
) -> list[QuarterRow]:
    """The same over months; `sessions` by month."""
    by_month = [spend.by_feature(month) for month in months]
    rows = [
        QuarterRow(
            feature=feature, planned=plan.features.get(feature), spent_nanos=tuple(one.get(feature, 0) for one in by_month),
            sessions=tuple(one.get(feature, Sessions()) for one in sessions),
        )
        for feature in {*plan.features, *spend.features}
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row.planned is None, -sum(row.spent_nanos), row.feature))
