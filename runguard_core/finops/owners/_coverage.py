"""Coverage: the share of spend that carries what the policy asks calls to carry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runguard_core.attribution import UNATTRIBUTED
from runguard_core.guard import AttributionRule
from runguard_core.ledger import CallFilter, Store

#: Of a policy that requires nothing: what every statement is made by.
DEFAULT_RULES = (AttributionRule(dimension="feature"), AttributionRule(dimension="team"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One dimension in a span; amounts in nano-USD, which add up to `total_nanos`.

    Attributes:
        dimension: "team", ...
        carried_nanos: of calls with a value that is allowed. missing_nanos: without one. other_nanos: with another one.
        others: the values that are not allowed with what they cost, the dearest first.
    """

    dimension: str
    carried_nanos: int
    missing_nanos: int
    other_nanos: int
    others: tuple[tuple[str, int], ...] = ()

    @property
    def total_nanos(self) -> int:
        """All spend of the span."""
        return self.carried_nanos + self.missing_nanos + self.other_nanos

    @property
    def covered_ratio(self) -> float:
        """Carried to all, 0 to 1; 1 where nothing was spent."""
        return self.carried_nanos / self.total_nanos if self.total_nanos else 1.0


def coverage(
    store: Store, app: str | None, since: datetime | None, until: datetime | None, rules: Iterable[AttributionRule] = ()
) -> tuple[Coverage, ...]:
    """How much of the spend in [since, until) carries each dimension that the policy requires.

    Args:
        app: None means all apps. rules: `Policy.rules.attribution`; none means feature and team. A call that names no
            feature is its app's: it carries one.
    """
    where = CallFilter(app=app, since=since, until=until)
    found = []
    for rule in tuple(rules) or DEFAULT_RULES:
        sums = {key[0]: total.cost_nanos for key, total in store.totals((rule.dimension,), where).items()}
        missing = sums.pop(None, 0) + sums.pop(UNATTRIBUTED, 0)
        others = {name: nanos for name, nanos in sums.items() if rule.allowed and name not in rule.allowed}
        ordered = sorted(((name or "", nanos) for name, nanos in others.items()), key=lambda pair: (-pair[1], pair[0]))
        other = sum(others.values())
        found.append(
            Coverage(
                dimension=rule.dimension,
                carried_nanos=sum(sums.values()) - other,
                missing_nanos=missing,
                other_nanos=other,
                others=tuple(ordered),
            )
        )
    return tuple(found)


def coverage_json(one: Coverage) -> dict[str, Any]:
    """Amounts as strings of nano-USD, the share to four digits."""
    return {
        "dimension": one.dimension, "covered_ratio": round(one.covered_ratio, 4), "carried_nanos": str(one.carried_nanos),
        "missing_nanos": str(one.missing_nanos), "other_nanos": str(one.other_nanos),
        "others": [{"value": name, "cost_nanos": str(nanos)} for name, nanos in one.others],
    }  # fmt: skip
