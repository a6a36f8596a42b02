"""What the policy says, as far as reviews ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from runguard_core.budgets import Budget
from runguard_core.finops.owners import Registry
from runguard_core.finops.planning import Plan
from runguard_core.guard import AttributionRule
from runguard_core.prices import PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """What the policy says, beside the ledger's rows.

    Attributes:
        registry, prices, zone: of the policy. budgets: with the limits in force.
        plan: what is planned a month; a feature's plan goes before its budgets.
        rules: what calls must carry; none means feature and team.
    """

    registry: Registry = field(default_factory=Registry)
    budgets: Sequence[Budget] = ()
    prices: PriceBook = field(default_factory=PriceBook)
    zone: tzinfo = UTC
    plan: Plan = field(default_factory=Plan)
    rules: Sequence[AttributionRule] = ()
