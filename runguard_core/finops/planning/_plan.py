"""The plan of a month: what each feature may cost, whether the parts fit the whole, and what is kept back for tails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturePlan:
    """What a feature is planned to cost a month.

    Attributes:
        usd_nanos: the amount given to it, nano-USD; None where only an estimate was given.
        session_count: sessions a month that are expected; session_nanos: what one is expected to cost, nano-USD.
    """

    usd_nanos: int | None = None
    session_count: int | None = None
    session_nanos: int | None = None

    @property
    def estimate_nanos(self) -> int | None:
        """Expected sessions times the cost of one; None where either is not said."""
        if self.session_count is None or self.session_nanos is None:
            return None
        return self.session_count * self.session_nanos

    @property
    def nanos(self) -> int:
        """What counts against the total: the amount, else the estimate."""
        return self.usd_nanos if self.usd_nanos is not None else self.estimate_nanos or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`[plan]` as numbers.

    Attributes:
        total_nanos: of a month, nano-USD; None where the policy names none.
        reserve: share of the total (0 to 1) kept for tails: steady state is planned at the rest.
        features: by name.
    """

    total_nanos: int | None = None
    reserve: Fraction = Fraction(3, 10)
    features: Mapping[str, FeaturePlan] = field(default_factory=dict)

    @property
    def headroom_nanos(self) -> int:
        """The reserve in nano-USD, rounded down; 0 without a total."""
        return int((self.total_nanos or 0) * self.reserve)

    @property
    def steady_nanos(self) -> int:
        """What the steady state may cost a month: the total less the reserve."""
        return (self.total_nanos or 0) - self.headroom_nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The parts of a plan against its total; amounts in nano-USD.

    Attributes:
        allocated_nanos: the features' parts together. unallocated_nanos: left of the total, 0 where nothing is.
        over_nanos: above the total. reserve_used_nanos: planned into the reserve (0 up to its size).
        underfunded: features whose estimate is above the amount given to them, with the difference, by name.
    """

    allocated_nanos: int
    unallocated_nanos: int
    over_nanos: int
    reserve_used_nanos: int
    underfunded: Mapping[str, int]


def allocation(plan: Plan) -> Allocation:
    """Sum the parts: allocated + unallocated = total + over, to the nano-dollar; without a total nothing is over."""
    allocated = sum(part.nanos for part in plan.features.values())
    total = allocated if plan.total_nanos is None else plan.total_nanos
    into_reserve = 0 if plan.total_nanos is None else min(max(allocated - plan.steady_nanos, 0), plan.headroom_nanos)
    short = {
        name: part.estimate_nanos - part.usd_nanos
        for name, part in sorted(plan.features.items())
        if part.estimate_nanos is not None and part.usd_nanos is not None and part.estimate_nanos > part.usd_nanos
    }
    return Allocation(
        allocated_nanos=allocated, unallocated_nanos=max(total - allocated, 0), over_nanos=max(allocated - total, 0),
        reserve_used_nanos=into_reserve, underfunded=short,
    )  # fmt: skip
