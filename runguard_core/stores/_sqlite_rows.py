"""Values to rows and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty, OutcomeKind, PromptPart
from runguard_core.ledger import (
    Account,
    AccountRow,
    Balance,
    CallRecord,
    CallState,
    Entry,
    EntryKind,
    Event,
    Hold,
    Latch,
    LatchState,
    LimitOverride,
    Move,
    Settlement,
    Unit,
)
from runguard_core.usage import USAGE_FIELDS, Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
WHO = ("app", "feature", "team", "owner", "agent", "instance", "user", "session", "run", "turn", "loop", "release")
RESERVE_COLUMNS = (
    "id", "kind", "name", "state", "started_at", *WHO, "tags", "provider", "account", "key_fingerprint", "quote_nanos",
    "quote_is_bound", "max_output_tokens", "signature", "parts", "policy_hash", "unverified", "holds", "expires_at", "process",
)  # fmt: skip
SETTLE_COLUMNS = (
    "state", "ended_at", "outcome", "amounts", "cost_nanos", "certainty", *USAGE_FIELDS, "duration_seconds",
    "model_answered", "provider_request_id", "error", "error_status", "attempt_count", "from_cache", "tool_names",
    "result_hash", "result_chars", "note",
)  # fmt: skip


def micros(at: datetime | None) -> int | None:
    """Microseconds since 1970, exact."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def instant(value: int | None) -> datetime | None:
    """The way back."""
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def instant_of(value: int) -> datetime:
    """The way back for columns that are never empty."""
    return _EPOCH + timedelta(microseconds=value)


def to_json(value: Any) -> str:
    """Compact JSON; ASCII, so that no text can break the file."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str)


def storable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same values with every text fit for UTF-8 and C: what programs and providers say may hold lone surrogates and NUL."""
    return tuple([_fit(value) if type(value) is str else value for value in row])


def _fit(text: str) -> str:
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def holds_json(holds: Sequence[Hold]) -> str:
    """Account keys and amounts, in order."""
    return to_json([[hold.account.key, hold.amount] for hold in holds])


def reserve_row(call: CallRecord, holds: Sequence[Hold], expires_at: datetime, owner: str) -> tuple[Any, ...]:
    """The row of a new call."""
    who = call.attribution
    parts = [[p.origin, p.chars, p.message_count, p.new_chars] for p in call.parts]
    return storable((
        call.id, call.kind.value, call.name, CallState.PENDING.value, micros(call.started_at),
        who.app, who.feature, who.team, who.owner, who.agent, who.instance, who.user, who.session, who.run, who.turn,
        who.loop, who.release, to_json(who.tags) if who.tags else "[]", call.provider, call.account, call.key_fingerprint,
        call.quote_nanos, int(call.quote_is_bound), call.max_output_tokens, call.signature, to_json(parts) if parts else "[]",
        call.policy_hash, int(call.unverified), holds_json(holds), micros(expires_at), owner,
    ))  # fmt: skip


def settle_row(state: CallState, settlement: Settlement) -> tuple[Any, ...]:
    """The columns that settling fills in."""
    usage = settlement.usage
    tokens = [getattr(usage, name) for name in USAGE_FIELDS] if usage is not None else [None] * len(USAGE_FIELDS)
    return storable((
        state.value, micros(settlement.at), settlement.outcome.value, to_json(dict(settlement.amounts)),
        settlement.cost_nanos, settlement.certainty.value, *tokens, settlement.duration_seconds,
        settlement.model_answered, settlement.provider_request_id, settlement.error, settlement.error_status,
        settlement.attempt_count, int(settlement.from_cache), to_json(settlement.tool_names), settlement.result_hash,
        settlement.result_chars, settlement.note,
    ))  # fmt: skip


def call_of(row: Any) -> CallRecord:
    """A call from its row."""
    who = Attribution(**{name: row[name] for name in WHO}, tags=tuple((k, v) for k, v in json.loads(row["tags"])))
    return CallRecord(
        id=row["id"], kind=CallKind(row["kind"]), name=row["name"], attribution=who, started_at=instant_of(row["started_at"]),
        provider=row["provider"], account=row["account"], key_fingerprint=row["key_fingerprint"],
        quote_nanos=row["quote_nanos"], quote_is_bound=bool(row["quote_is_bound"]),
        max_output_tokens=row["max_output_tokens"], signature=row["signature"],
        parts=tuple(PromptPart(*part) for part in json.loads(row["parts"])), policy_hash=row["policy_hash"],
        unverified=bool(row["unverified"]), state=CallState(row["state"]), settlement=settlement_of(row),
    )  # fmt: skip


def settlement_of(row: Any) -> Settlement | None:
    """How a call ended; None while it has not."""
    if row["outcome"] is None:
        return None
    tokens = {name: row[name] for name in USAGE_FIELDS}
    usage = None if tokens["input_tokens"] is None else Usage(**tokens)
    return Settlement(
        at=instant_of(row["ended_at"]), outcome=OutcomeKind(row["outcome"]), amounts=json.loads(row["amounts"]),
        cost_nanos=row["cost_nanos"], certainty=Certainty(row["certainty"]), usage=usage,
        duration_seconds=row["duration_seconds"], model_answered=row["model_answered"],
        provider_request_id=row["provider_request_id"], error=row["error"], error_status=row["error_status"],
        attempt_count=row["attempt_count"], from_cache=bool(row["from_cache"]),
        tool_names=tuple(json.loads(row["tool_names"])), result_hash=row["result_hash"],
        result_chars=row["result_chars"], note=row["note"],
    )  # fmt: skip


def account_of(row: Any) -> AccountRow:
    """An account from its row."""
    account = Account(row["key"], Unit(row["unit"]), row["title"], instant(row["window_start"]), instant(row["window_end"]))
    return AccountRow(account, Balance(row["posted"], row["pending"], row["assumed"], row["leased"]), row["shown_limit"])


def entry_of(row: Any) -> Entry:
    """A line from its row."""
    moves = tuple(Move(*move) for move in json.loads(row["moves"]))
    return Entry(
        row["sequence"],
        row["call_id"],
        EntryKind(row["kind"]),
        instant_of(row["at"]),
        moves,
        row["cost_nanos"],
        row["reason"],
    )


def event_row(event: Event) -> tuple[Any, ...]:
    """The row of an event."""
    return storable((
        event.id, event.kind, micros(event.at), event.severity, event.message, event.app,
        event.session, event.run, event.agent, event.feature, event.call_id, to_json(dict(event.facts)),
    ))  # fmt: skip


def event_of(row: Any) -> Event:
    """An event from its row."""
    return Event(
        id=row["id"], kind=row["kind"], at=instant_of(row["at"]), severity=row["severity"], message=row["message"],
        app=row["app"], session=row["session"], run=row["run"], agent=row["agent"], feature=row["feature"],
        call_id=row["call_id"], facts=json.loads(row["facts"]),
    )  # fmt: skip


def latch_row(latch: Latch) -> tuple[Any, ...]:
    """The row of a latch."""
    return storable((
        latch.scope_kind, latch.scope_id, latch.state.value, latch.rule, latch.reason, micros(latch.since),
        micros(latch.until), latch.account_key, to_json(latch.marks), latch.session, latch.by,
    ))  # fmt: skip


def latch_of(row: Any) -> Latch:
    """A latch from its row."""
    return Latch(
        scope_kind=row["scope_kind"], scope_id=row["scope_id"], state=LatchState(row["state"]), rule=row["rule"],
        reason=row["reason"], since=instant_of(row["since"]), until=instant(row["until"]), account_key=row["account_key"],
        marks=tuple(json.loads(row["marks"])), session=row["session"], by=row["set_by"],
    )  # fmt: skip


def override_row(override: LimitOverride) -> tuple[Any, ...]:
    """The row of an override."""
    return storable((
        override.account_key, override.limit, override.by, override.reason, micros(override.since), micros(override.until),
    ))  # fmt: skip


def override_of(row: Any) -> LimitOverride:
    """An override from its row."""
    return LimitOverride(
        account_key=row["account_key"], limit=row["amount"], by=row["set_by"], reason=row["reason"],
        since=instant_of(row["since"]), until=instant(row["until"]),
    )  # fmt: skip
