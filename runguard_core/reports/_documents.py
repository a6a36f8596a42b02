"""Reports as JSON values: amounts as strings of nano-USD and of USD, times in ISO 8601."""

from __future__ import annotations

from typing import Any

from runguard_core.budgets import in_units
from runguard_core.ledger import AccountRow, CallRecord, Event, Latch
from runguard_core.money import usd_text as usd
from runguard_core.reports._explaining import Explained
from runguard_core.reports._grading import Grade, Sign
from runguard_core.reports._spending import SessionRow, Spend
from runguard_core.usage import USAGE_FIELDS


def spend_json(row: Spend) -> dict[str, Any]:
    """A sum."""
    return {
        "key": row.key, "usd": usd(row.nanos), "nanos": str(row.nanos), "exact_nanos": str(row.exact_nanos),
        "estimated_nanos": str(row.estimated_nanos), "assumed_nanos": str(row.assumed_nanos),
        "pending_nanos": str(row.pending_nanos), "call_count": row.call_count, "tool_count": row.tool_count,
        "unpriced_count": row.unpriced_count, "tokens": {name: getattr(row.usage, name) for name in USAGE_FIELDS},
    }  # fmt: skip


def session_json(row: SessionRow) -> dict[str, Any]:
    """A session."""
    return {
        "session": row.id, "app": row.app, "state": row.state, "started_at": row.started_at.isoformat(),
        "last_at": row.last_at.isoformat(), "run_count": len(row.runs), "turn_count": row.turn_count,
        "child_count": row.child_count,
        "agents": sorted(row.agents), "users": sorted(row.users), "dead_tail_nanos": str(row.dead_tail_nanos),
        "spend": spend_json(row.spend),
    }  # fmt: skip


def call_json(call: CallRecord) -> dict[str, Any]:
    """A call."""
    who, settled = call.attribution, call.settlement
    return {
        "id": call.id, "kind": call.kind.value, "name": call.name, "state": call.state.value,
        "started_at": call.started_at.isoformat(), "agent": who.agent, "turn": who.turn, "loop": who.loop, "run": who.run,
        "quote_nanos": None if call.quote_nanos is None else str(call.quote_nanos), "quote_is_bound": call.quote_is_bound,
        "cost_nanos": None if settled is None or settled.cost_nanos is None else str(settled.cost_nanos),
        "certainty": settled.certainty.value if settled else None, "outcome": settled.outcome.value if settled else None,
        "error": settled.error if settled else None, "model_answered": settled.model_answered if settled else None,
        "result_chars": settled.result_chars if settled else 0,
        "tokens": {n: getattr(settled.usage, n) for n in USAGE_FIELDS} if settled and settled.usage else None,
        "parts": [{"origin": p.origin, "chars": p.chars, "message_count": p.message_count} for p in call.parts],
    }  # fmt: skip


def event_json(event: Event) -> dict[str, Any]:
    """An event."""
    return {
        "id": event.id, "kind": event.kind, "at": event.at.isoformat(), "severity": event.severity, "message": event.message,
        "app": event.app, "session": event.session, "run": event.run, "agent": event.agent, "call_id": event.call_id,
        "facts": dict(event.facts),
    }  # fmt: skip


def explained_json(found: Explained) -> dict[str, Any]:
    """A session, explained."""
    return {
        "session": found.session,
        "spend": spend_json(found.spend),
        "runs": [
            {
                "run": run.id, "nanos": str(run.nanos), "child": run.child, "parent": run.parent, "limit": run.limit,
                "dead_tail_nanos": None if run.dead_tail_nanos is None else str(run.dead_tail_nanos),
                "turns": [
                    {
                        "turn": turn.number, "loop": turn.loop, "agent": turn.agent, "nanos": str(turn.nanos),
                        "calls": [call_json(call) for call in (*turn.models, *turn.tools)],
                    }
                    for turn in run.turns
                ],
            }
            for run in found.runs
        ],
        "origins": [
            {"origin": o.origin, "nanos": str(o.nanos), "first_nanos": str(o.first_nanos),
             "again_nanos": str(o.again_nanos), "again_count": o.again_count}
            for o in found.origins
        ],
        "output_nanos": str(found.output_nanos),
        "stops": [event_json(event) for event in found.stops],
    }  # fmt: skip


def account_json(row: AccountRow, name: str | None) -> dict[str, Any]:
    """An account; amounts in the unit's smallest part, as strings."""
    unit, balance = row.account.unit, row.balance
    left = None if row.limit is None else balance.available(row.limit)
    return {
        "budget": name, "account": row.account.title, "unit": unit.value, "scale": unit.scale,
        "limit": None if row.limit is None else str(row.limit), "posted": str(balance.posted),
        "pending": str(balance.pending), "assumed": str(balance.assumed),
        "available": None if left is None else str(left),
        "available_text": None if left is None else f"{in_units(max(left, 0), unit):f}",
        "frees_at": row.account.window_end.isoformat() if row.account.window_end else None,
    }  # fmt: skip


def latch_json(latch: Latch) -> dict[str, Any]:
    """A latch."""
    return {
        "scope": f"{latch.scope_kind}:{latch.scope_id}", "state": latch.state.value, "rule": latch.rule,
        "reason": latch.reason, "since": latch.since.isoformat(),
        "until": latch.until.isoformat() if latch.until else None, "session": latch.session, "by": latch.by,
    }  # fmt: skip


def grade_json(row: Grade) -> dict[str, Any]:
    """A rule's record; ratios are 0 to 1, None without a case."""
    return {
        "rule": row.rule, "stop_count": row.stop_count, "override_count": row.override_count,
        "override_ratio": row.override_ratio, "vindicated_count": row.vindicated_count, "would_count": row.would_count,
        "finished_count": row.finished_count, "saved_usd": usd(row.saved_nanos),
        "wrongly_saved_usd": usd(row.wrongly_saved_nanos), "wrong_ratio": row.wrong_ratio, "proposal": row.proposal,
        "signs": [_sign_json(sign) for sign in row.signs],
    }  # fmt: skip


def _sign_json(sign: Sign) -> dict[str, Any]:
    event, override = sign.event, sign.overridden_by
    return {
        "run": event.run, "session": event.session, "agent": event.agent, "at": event.at.isoformat(), "kind": event.kind,
        "evidence": event.message, "later_usd": usd(sign.later_nanos), "finished": sign.finished,
        "overridden_by": None if override is None else {"kind": override.kind, "at": override.at.isoformat(),
                                                        "by": override.facts.get("by"), "reason": override.facts.get("reason")},
    }  # fmt: skip
