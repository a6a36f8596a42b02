"""What sessions cost by a dimension in a window: sum, count, median, and where the median went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runguard_core.finops._calendar import Window
from runguard_core.finops._session_costs import percentile
from runguard_core.finops.reviews._verdict import Direction, direction
from runguard_core.ledger import CallFilter, Store


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of sessions in nano-USD, ascending."""

    ordered: tuple[int, ...] = ()

    @property
    def nanos(self) -> int:
        """Together."""
        return sum(self.ordered)

    @property
    def session_count(self) -> int:
        """How many."""
        return len(self.ordered)

    @property
    def median_nanos(self) -> int | None:
        """None without a session."""
        return percentile(self.ordered, 0.5)

    @property
    def mean_nanos(self) -> int | None:
        """Rounded down; None without a session."""
        return self.nanos // len(self.ordered) if self.ordered else None

    def went(self, before: Costs) -> Direction:
        """Where the median went since then."""
        return direction(self.ordered, before.ordered)


NO_COSTS = Costs()


def costs_by(store: Store, app: str | None, window: Window, *dimensions: str) -> list[dict[str, Costs]]:
    """Costs of sessions by each dimension, read once; a session of two values counts under both, with what it cost under each.

    Args:
        dimensions: "feature" (the app where a call names none), "agent", ...
    """
    where = CallFilter(app=app, since=window.start, until=window.end)
    sums: list[dict[str, dict[str, int]]] = [{} for _ in dimensions]
    for (its_app, *values, session), total in store.totals(("app", *dimensions, "conversation"), where).items():
        for dimension, value, found in zip(dimensions, values, sums, strict=True):
            its = found.setdefault(value or (its_app or "" if dimension == "feature" else ""), {})
            its[session or ""] = its.get(session or "", 0) + total.cost_nanos
    return [{name: Costs(tuple(sorted(found[name].values()))) for name in sorted(found)} for found in sums]


def all_costs(costs: Mapping[str, Costs]) -> Costs:
    """Of all values together; a session of two counts twice, with what it cost under each."""
    return Costs(tuple(sorted(nanos for one in costs.values() for nanos in one.ordered)))


def ratio_of(now: int | None, before: int | None) -> float | None:
    """The change between two values, 0.1 for a tenth more; None where there is nothing to compare with."""
    return None if now is None or not before else now / before - 1


def names_in(*costs: Mapping[str, Costs]) -> Sequence[str]:
    """Every name, the dearest now first."""
    found = {name for one in costs for name in one}
    return sorted(found, key=lambda name: (-costs[0].get(name, NO_COSTS).nanos, name))
