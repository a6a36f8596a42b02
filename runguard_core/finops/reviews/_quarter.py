"""The quarter: actual against budget, the trend of the cost per session by month, what is planned, and what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops.planning import FeaturePlan
from runguard_core.finops.reviews._costs import NO_COSTS, Costs, all_costs, costs_by
from runguard_core.finops.reviews._limits import Allowed
from runguard_core.finops.reviews._material import Payer, payers_of
from runguard_core.finops.reviews._practice import Practice
from runguard_core.finops.reviews._weekly import allowed_to, allowed_to_all, owner_of
from runguard_core.ledger import Store

#: Of a budget so much is for the usual, the rest for the tail: ten times the traffic for hours, three times for a week.
STEADY_RATIO = 0.7
#: A budget within this share of what is proposed is right as it is.
CLOSE_RATIO = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureQuarter:
    """One feature; amounts in nano-USD.

    Attributes:
        months: costs of its sessions by month, in order. allowed: by its plan or tightest budget, in the quarter.
        proposed_nanos: a month's budget, STEADY_RATIO of which is the pace of the last month that is over; 0 without one.
        advice: "raise", "lower", "keep", or "set" where there is no budget; "" without spend.
    """

    feature: str
    owner: str | None
    months: tuple[Costs, ...]
    allowed: Allowed | None
    proposed_nanos: int
    advice: str

    @property
    def nanos(self) -> int:
        """Spend of the quarter."""
        return sum(month.nanos for month in self.months)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterReview:
    """A quarter.

    Attributes:
        quarter, months: which. app: whose; None for all.
        features: dearest first. planned: features of the plan without a call in it. allowed: by the budgets of the whole app.
    """

    quarter: Window
    months: tuple[Window, ...]
    app: str | None
    features: tuple[FeatureQuarter, ...]
    allowed: Allowed | None
    planned: Mapping[str, FeaturePlan] = field(default_factory=dict)

    @property
    def nanos(self) -> int:
        """Spend of the quarter."""
        return sum(row.nanos for row in self.features)

    @property
    def by_month(self) -> tuple[Costs, ...]:
        """Of all features."""
        return tuple(
            all_costs({row.feature: row.months[place] for row in self.features}) for place in range(len(self.months))
        )  # fmt: skip


def read_quarter(
    store: Store, app: str | None, calendar: Calendar, quarter: Window, practice: Practice, now: datetime,
) -> QuarterReview:  # fmt: skip
    """The review of a quarter, from sums of its sessions by month.

    Args:
        now: months that are not over by then are shown, and not taken as a pace.
    """
    months = months_of(calendar, quarter)
    costs = [costs_by(store, app, month, "feature")[0] for month in months]
    payers, over = payers_of(store, app, quarter), sum(month.end <= now for month in months)
    rows = [
        _row(name, payer, tuple(one.get(name, NO_COSTS) for one in costs), practice, (quarter, *months), over)
        for name, payer in payers.items()
    ]
    planned = {name: one for name, one in sorted(practice.plan.features.items()) if name not in payers}
    return QuarterReview(
        quarter=quarter, months=months, app=app, features=tuple(sorted(rows, key=lambda row: (-row.nanos, row.feature))),
        allowed=allowed_to_all(payers, practice, quarter, app), planned=planned,
    )  # fmt: skip


def _row(
    name: str, payer: Payer, months: tuple[Costs, ...], practice: Practice, windows: Sequence[Window], over: int
) -> FeatureQuarter:  # fmt: skip
    quarter, last = windows[0], windows[max(over, 1)]
    month, proposed = allowed_to(name, payer, practice, last), proposed_nanos(months[:over])
    return FeatureQuarter(
        feature=name, owner=owner_of(name, payer, practice.registry), months=months, proposed_nanos=proposed,
        allowed=allowed_to(name, payer, practice, quarter), advice=advice(proposed, month.nanos if month is not None else None),
    )  # fmt: skip


def months_of(calendar: Calendar, quarter: Window) -> tuple[Window, ...]:
    """Its three months."""
    return tuple(calendar.month(day) for day in quarter.days if day.day == 1)


def proposed_nanos(months: Sequence[Costs]) -> int:
    """What a month should be allowed to cost: the last month with spend, as STEADY_RATIO of it; rounded up to ten cents."""
    last = next((month.nanos for month in reversed(months) if month.nanos), 0)
    step = 10**8
    return -(-last * 10 // (round(STEADY_RATIO * 10) * step)) * step


def advice(proposed: int, allowed_nanos: int | None) -> str:
    """What to do with a month's budget."""
    if not proposed:
        return ""
    if not allowed_nanos:
        return "set"
    if abs(proposed / allowed_nanos - 1) <= CLOSE_RATIO:
        return "keep"
    return "raise" if proposed > allowed_nanos else "lower"
