"""A reconciliation as JSON; amounts as strings of nano-USD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runguard_core.finops.bills._findings import Difference
from runguard_core.finops.bills._keys import Payer
from runguard_core.finops.bills._reconciling import Reconciliation


def reconciliation_json(found: Reconciliation, owner: Callable[[Payer], str | None]) -> dict[str, Any]:
    """All of it, in its order.

    Args:
        found: the comparison. owner: who answers for a payer.
    """
    return {
        "provider": found.provider, "first_day": str(found.days[0]) if found.days else None,
        "last_day": str(found.days[-1]) if found.days else None, "usage_day_count": found.usage_day_count,
        "cost_day_count": found.cost_day_count,
        "billed": {"tokens": found.billed_tokens, "nanos": str(found.billed_nanos)},
        "booked": {"tokens": found.booked_tokens, "nanos": str(found.booked_nanos)},
        "differences": [difference_json(one, owner(one.payer)) for one in found.differences],
        "unexplained_count": len(found.unexplained), "notes": list(found.notes),
    }  # fmt: skip


def difference_json(one: Difference, owner: str | None) -> dict[str, Any]:
    """One difference."""
    return {
        "kind": one.kind.value, "day": str(one.day), "feature": one.payer.feature, "team": one.payer.team, "owner": owner,
        "model": one.model, "tokens": {kind.value: count for kind, count in one.tokens}, "nanos": str(one.nanos),
        "next_day_nanos": str(one.next_day_nanos), "is_explained": one.is_explained, "evidence": one.evidence,
        "ids": list(one.ids),
    }  # fmt: skip
