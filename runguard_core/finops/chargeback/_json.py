"""Statements as JSON, with FOCUS 1.3's columns of split costs; amounts are strings of nano-USD."""

from __future__ import annotations

from typing import Any

from runguard_core.finops.chargeback._closing import Closing
from runguard_core.finops.chargeback._limits import TeamLimit
from runguard_core.finops.chargeback._period import PeriodStatements
from runguard_core.finops.chargeback._rules import rules_json
from runguard_core.finops.chargeback._statement import Line, LineKind, Party, PartyKind, Statement
from runguard_core.money import usd_text


def period_json(it: PeriodStatements) -> dict[str, Any]:
    """All statements of a period. What they add up to is `nanos`: `spend_nanos` (the ledger) and corrections."""
    return {
        "period": it.window.name, "start": it.window.start.isoformat(), "end": it.window.end.isoformat(), "app": it.app,
        "state": "open" if it.closing is None else "closed", "mode": it.rules.mode.value,
        "closing": None if it.closing is None else closing_json(it.closing), "rules": rules_json(it.rules),
        "nanos": str(it.nanos), "usd": usd_text(it.nanos), "spend_nanos": str(it.spend_nanos),
        "corrected_periods": list(it.corrected_periods()),
        "statements": [statement_json(statement) for statement in it.statements],
    }  # fmt: skip


def closing_json(closing: Closing) -> dict[str, Any]:
    """When and by whom a period was closed, and at what."""
    nanos = sum(statement.nanos for statement in closing.statements)
    return {
        "period": closing.period, "start": closing.start.isoformat(), "end": closing.end.isoformat(), "app": closing.app,
        "mode": closing.rules.mode.value, "at": closing.at.isoformat(), "by": closing.by, "reason": closing.reason,
        "policy_hash": closing.policy_hash, "nanos": str(nanos), "usd": usd_text(nanos),
        "shared": {it.name: it.method.value for it in closing.rules.shared}, "residual": closing.rules.residual.value,
    }  # fmt: skip


def statement_json(statement: Statement, limit: TeamLimit | None = None) -> dict[str, Any]:
    """One party's statement; with its budget where that is asked for."""
    found = {
        "party": statement.party.kind.value, "name": statement.party.name, "nanos": str(statement.nanos),
        "usd": usd_text(statement.nanos), "lines": [_line_json(statement.party, line) for line in statement.lines],
    }  # fmt: skip
    return found if limit is None else found | {"budget": limit_json(limit)}


def limit_json(limit: TeamLimit) -> dict[str, Any]:
    """A team's budget, what is left of it, and the budgets that watch its calls."""
    return {
        "budget": limit.budget, "limit_nanos": _text(limit.limit_nanos), "charged_nanos": str(limit.charged_nanos),
        "remaining_nanos": _text(limit.remaining_nanos), "sentence": limit.sentence,
        "watching": [
            {"budget": it.budget, "limit": it.limit, "mode": it.mode.value, "refused_count": it.refused_count,
             "would_count": it.would_count} for it in limit.watching
        ],
    }  # fmt: skip


def _line_json(party: Party, line: Line) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": line.kind.value, "name": line.name, "nanos": str(line.nanos), "usd": usd_text(line.nanos),
        "unsure_nanos": str(line.unsure_nanos), "call_count": line.call_count, "token_count": line.token_count,
        "unpriced_count": line.unpriced_count,
    }  # fmt: skip
    return found if line.basis is None else found | {"focus": _focus(party, line)}


def _focus(party: Party, line: Line) -> dict[str, Any]:
    """FOCUS 1.3: the parts of one cost have ratios that sum to exactly 1; a part that no team bears has no resource."""
    basis = line.basis
    assert basis is not None
    element = {"AllocatedRatio": float(basis.ratio), "UsageUnit": basis.unit, "UsageQuantity": basis.quantity}
    by = "shared" if line.kind is LineKind.SHARED else "residual"
    return {
        "AllocatedMethodId": f"runguard:{by}:{basis.unit}", "AllocatedMethodDetails": {"Elements": [element]},
        "AllocatedResourceId": party.name if party.kind is PartyKind.TEAM else None,
    }  # fmt: skip


def _text(nanos: int | None) -> str | None:
    return None if nanos is None else str(nanos)
