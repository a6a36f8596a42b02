"""A person's decisions: stop, let go, change a limit. Each is one event with who, why, what was before and what is after."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runguard_core import breaker
from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.budgets import Limit, show_amount
from runguard_core.errors import PolicyError
from runguard_core.guard._engine import Engine
from runguard_core.ledger import Account, Latch, LimitOverride, Unit


def kill(engine: Engine, kind: str, value: str, *, reason: str, by: str, until: datetime | None) -> None:
    """Stop a scope until a person lets it go, or until its time ends.

    Raises:
        PolicyError: the time has passed already.
    """
    at = engine.clock.now()
    if until is not None and until <= at:
        raise PolicyError(key="until", expected=f"a time to come, got {until.isoformat()}")
    latch = breaker.kill(kind, value, reason, by or "unknown", at, until)
    ends = f" until {until.isoformat()}" if until is not None else ""
    said = ev.event(
        ev.KILLED, ev.STOP, f"{kind} {value} was stopped{ends}: {reason}", engine.who(), at, scope=f"{kind}:{value}", by=by,
        reason=reason, **_moved(engine.store.latches().get(latch.scope), latch),
    )  # fmt: skip
    engine.store.put_latch(latch, [said])
    engine.dispatcher.send([said])


def reset(engine: Engine, kind: str, value: str, *, reason: str, by: str) -> bool:
    """Let a stopped scope run again; whether it was stopped.

    Raises:
        PolicyError: without a reason.
    """
    if not reason.strip():
        raise PolicyError(key="reason", expected="say why it may run again")
    said = ev.event(
        ev.RESET, ev.NOTICE, f"{kind} {value} was reset{' by ' + by if by else ''}: {reason}", engine.who(), engine.clock.now(),
        scope=f"{kind}:{value}", by=by, reason=reason, **_moved(engine.store.latches().get((kind, value)), None),
    )  # fmt: skip
    dropped = engine.store.drop_latch(kind, value, [said])
    engine.dispatcher.send([said])
    return dropped


def set_limit(
    engine: Engine, account: Account, limit: Limit, *, was: int | None, budget: str, who: Attribution, by: str, reason: str,
    until: datetime | None,
) -> tuple[Latch, ...]:  # fmt: skip
    """Let an account have another limit than the policy's, and what the old one had stopped go on; what went on.

    Args:
        was: the policy's limit in the unit's smallest part, None where nobody knows it.

    Raises:
        PolicyError: the time has passed already.
    """
    at = engine.clock.now()
    if until is not None and until <= at:
        raise PolicyError(key="until", expected=f"a time to come, got {until.isoformat()}")
    override = LimitOverride(
        account_key=account.key, limit=limit.amount, by=by or "unknown", reason=reason, since=at, until=until
    )
    cleared = tuple(breaker.cleared_by_limit(engine.store.latches(), account.key))
    said = ev.event(
        ev.LIMIT_CHANGED, ev.NOTICE, f"limit of {account.title} is now {limit}{' by ' + by if by else ''}", who, at,
        budget=budget, limit=str(limit.amount), by=by, reason=reason, account=account.key, scope=account.title,
        unit=account.unit.value, cleared=[f"{one.scope_kind}:{one.scope_id}" for one in cleared],
        before=_limit_facts(engine.store.overrides().get(account.key), was, at, account.unit),
        after=_limit_facts(override, None, at, account.unit),
    )  # fmt: skip
    engine.store.put_override(override, [said])
    engine.dispatcher.send([said])
    for latch in cleared:
        engine.store.drop_latch(latch.scope_kind, latch.scope_id)
    return cleared


def _moved(before: Latch | None, after: Latch | None) -> dict[str, Any]:
    return {"before": _latch_facts(before), "after": _latch_facts(after)}


def _latch_facts(latch: Latch | None) -> Mapping[str, Any] | None:
    """What stops a scope, as facts of an event; None where nothing does."""
    if latch is None:
        return None
    until = None if latch.until is None else latch.until.isoformat()
    return {
        "state": latch.state.value, "rule": latch.rule, "reason": latch.reason, "since": latch.since.isoformat(), "until": until,
        "by": latch.by,
    }  # fmt: skip


def _limit_facts(override: LimitOverride | None, policy_limit: int | None, at: datetime, unit: Unit) -> Mapping[str, Any]:
    """The limit that holds, as facts of an event: in words, and in the unit's smallest part."""
    if override is None or (override.until is not None and at >= override.until):
        if policy_limit is None:
            return {"limit": None, "limit_amount": None, "until": None, "by": "policy"}
        return {"limit": show_amount(policy_limit, unit), "limit_amount": str(policy_limit), "until": None, "by": "policy"}
    until = None if override.until is None else override.until.isoformat()
    shown = show_amount(override.limit, unit)
    return {"limit": shown, "limit_amount": str(override.limit), "until": until, "by": override.by}
