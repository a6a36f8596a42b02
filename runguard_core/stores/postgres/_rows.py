"""Values to what the functions take, and rows to values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty, OutcomeKind, PromptPart
from runguard_core.ledger import (
    Account,
    AccountRow,
    Balance,
    CallRecord,
    CallState,
    Event,
    Hold,
    Latch,
    LatchState,
    LimitOverride,
    Settlement,
    Unit,
)
from runguard_core.stores._sqlite_rows import instant, instant_of, micros, to_json
from runguard_core.usage import USAGE_FIELDS, Usage

WHO = ("app", "feature", "team", "owner", "agent", "instance", "user", "session", "run", "turn", "loop", "release")
#: What a settlement fills in, besides its amounts.
SETTLED = (
    "ended_at", "outcome", "cost_nanos", "certainty", *USAGE_FIELDS, "duration_seconds", "model_answered", "provider_request_id",
    "error", "error_status", "attempt_count", "from_cache", "tool_names", "result_hash", "result_chars", "note",
)  # fmt: skip


def document(value: Any) -> str:
    """JSON that PostgreSQL takes: what programs and providers say may hold lone surrogates and NUL."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(_without_nul(json.loads(text)), ensure_ascii=False) if "\\u0000" in text else text


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(one) for one in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(one) for key, one in value.items()}
    return value


def fit(text: str) -> str:
    """Text as it is kept, for asking for it."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def call_document(call: CallRecord) -> dict[str, Any]:
    """The row of a new call; what is empty is left out."""
    who = call.attribution
    row: dict[str, Any] = {
        "id": call.id, "kind": call.kind.value, "name": call.name, "started_at": micros(call.started_at),
        "quote_is_bound": call.quote_is_bound, "unverified": call.unverified, "policy_hash": call.policy_hash,
    }  # fmt: skip
    for name in WHO:
        row[name] = getattr(who, name)
    for name in ("provider", "account", "key_fingerprint", "quote_nanos", "max_output_tokens", "signature"):
        row[name] = getattr(call, name)
    if who.tags:
        row["tags"] = to_json(who.tags)
    if call.parts:
        row["parts"] = to_json([[p.origin, p.chars, p.message_count, p.new_chars] for p in call.parts])
    return {name: value for name, value in row.items() if value is not None}


def hold_documents(holds: Sequence[Hold]) -> list[dict[str, Any]]:
    """Holds with their accounts, in order."""
    return [_hold(hold) for hold in holds]


def _hold(hold: Hold) -> dict[str, Any]:
    row = {**account_document(hold.account), "amount": hold.amount, "limit": hold.limit, "shown": hold.shown_limit}
    return {name: value for name, value in row.items() if value is not None}


def account_document(account: Account) -> dict[str, Any]:
    """The row of a new account."""
    return {
        "key": account.key, "unit": account.unit.value, "title": account.title, "window_start": micros(account.window_start),
        "window_end": micros(account.window_end),
    }  # fmt: skip


def settled_document(settlement: Settlement) -> dict[str, Any]:
    """What settling fills in, besides the amounts; what is empty is left out."""
    row: dict[str, Any] = {
        "ended_at": micros(settlement.at), "outcome": settlement.outcome.value, "certainty": settlement.certainty.value,
        "from_cache": settlement.from_cache, "tool_names": to_json(settlement.tool_names) if settlement.tool_names else None,
    }  # fmt: skip
    for name in (
        "cost_nanos", "duration_seconds", "model_answered", "provider_request_id", "error", "error_status", "attempt_count",
        "result_hash", "result_chars", "note",
    ):  # fmt: skip
        row[name] = getattr(settlement, name)
    if settlement.usage is not None:
        for name in USAGE_FIELDS:
            row[name] = getattr(settlement.usage, name) or None
        row["input_tokens"] = settlement.usage.input_tokens
    return {name: value for name, value in row.items() if value is not None}


def call_of(row: Any, keys: Mapping[int, str]) -> CallRecord:
    """A call from its row. `keys`: of accounts, by their numbers."""
    who = {name: getattr(row, name) for name in WHO}
    tags = tuple((key, value) for key, value in json.loads(row.tags)) if row.tags else ()
    return CallRecord(
        id=row.id, kind=CallKind(row.kind), name=row.name, attribution=Attribution(**who, tags=tags),
        started_at=instant_of(row.started_at), provider=row.provider, account=row.account, key_fingerprint=row.key_fingerprint,
        quote_nanos=row.quote_nanos, quote_is_bound=row.quote_is_bound, max_output_tokens=row.max_output_tokens,
        signature=row.signature, parts=tuple(PromptPart(*part) for part in json.loads(row.parts)) if row.parts else (),
        policy_hash=row.policy_hash, unverified=row.unverified, state=CallState(row.state), settlement=settlement_of(row, keys),
    )  # fmt: skip


def settlement_of(row: Any, keys: Mapping[int, str]) -> Settlement | None:
    """How a call ended; None while it has not."""
    if row.outcome is None:
        return None
    amounts = {
        keys[number]: amount for number, amount in zip(row.accounts, row.amounts or (), strict=False) if amount is not None
    }
    if row.other_amounts:
        amounts |= json.loads(row.other_amounts)
    usage = None if row.input_tokens is None else Usage(**{name: getattr(row, name) or 0 for name in USAGE_FIELDS})
    return Settlement(
        at=instant_of(row.ended_at), outcome=OutcomeKind(row.outcome), amounts=amounts, cost_nanos=row.cost_nanos,
        certainty=Certainty(row.certainty), usage=usage, duration_seconds=row.duration_seconds,
        model_answered=row.model_answered, provider_request_id=row.provider_request_id, error=row.error,
        error_status=row.error_status, attempt_count=row.attempt_count, from_cache=bool(row.from_cache),
        tool_names=tuple(json.loads(row.tool_names)) if row.tool_names else (), result_hash=row.result_hash,
        result_chars=row.result_chars or 0, note=row.note,
    )  # fmt: skip


def account_of(row: Any) -> AccountRow:
    """An account from its row."""
    account = Account(row.key, Unit(row.unit), row.title, instant(row.window_start), instant(row.window_end))
    return AccountRow(account, Balance(row.posted, row.pending, row.assumed, row.leased), row.shown_limit)


def event_documents(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The rows of events."""
    return [
        {
            "id": e.id, "kind": e.kind, "at": micros(e.at), "severity": e.severity, "message": e.message, "app": e.app,
            "session": e.session, "run": e.run, "agent": e.agent, "feature": e.feature, "call_id": e.call_id,
            "facts": to_json(dict(e.facts)),
        }
        for e in events
    ]  # fmt: skip


def event_of(row: Any) -> Event:
    """An event from its row."""
    return Event(
        id=row.id, kind=row.kind, at=instant_of(row.at), severity=row.severity, message=row.message, app=row.app,
        session=row.session, run=row.run, agent=row.agent, feature=row.feature, call_id=row.call_id, facts=json.loads(row.facts),
    )  # fmt: skip


def latch_document(latch: Latch) -> dict[str, Any]:
    """The row of a latch."""
    return {
        "scope_kind": latch.scope_kind, "scope_id": latch.scope_id, "state": latch.state.value, "rule": latch.rule,
        "reason": latch.reason, "since": micros(latch.since), "until": micros(latch.until), "account_key": latch.account_key,
        "marks": to_json(latch.marks), "session": latch.session, "set_by": latch.by,
    }  # fmt: skip


def latch_of(row: Any) -> Latch:
    """A latch from its row."""
    return Latch(
        scope_kind=row.scope_kind, scope_id=row.scope_id, state=LatchState(row.state), rule=row.rule, reason=row.reason,
        since=instant_of(row.since), until=instant(row.until), account_key=row.account_key,
        marks=tuple(json.loads(row.marks)), session=row.session, by=row.set_by,
    )  # fmt: skip


def override_document(override: LimitOverride) -> dict[str, Any]:
    """The row of an override."""
    return {
        "account_key": override.account_key, "amount": override.limit, "set_by": override.by, "reason": override.reason,
        "since": micros(override.since), "until": micros(override.until),
    }  # fmt: skip


def override_of(row: Any) -> LimitOverride:
    """An override from its row."""
    return LimitOverride(
        account_key=row.account_key, limit=row.amount, by=row.set_by, reason=row.reason, since=instant_of(row.since),
        until=instant(row.until),
    )  # fmt: skip
