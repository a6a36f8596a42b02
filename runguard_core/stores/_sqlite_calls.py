"""Calls to rows of the table `call` and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from runguard_core.attribution import in_turn
from runguard_core.calls import CallKind, ModelCall, PromptPart
from runguard_core.ledger import CallDraft, CallOrDraft, CallRecord, CallState, Hold, Settlement
from runguard_core.stores._sqlite_packing import (
    CERTAINTIES,
    FROM_CACHE,
    IS_BOUND,
    OUTCOMES,
    RARE_TOKENS,
    STATES,
    TOKEN_COLUMNS,
    UNVERIFIED,
    Leg,
    fit,
    pack_digest,
    pack_held,
    pack_id,
    pack_more,
    pack_sizes,
    pack_spent,
    unpack_digest,
    unpack_held,
    unpack_id,
    unpack_parts,
    unpack_spent,
)
from runguard_core.stores._sqlite_rows import instant_of, micros_of
from runguard_core.stores._sqlite_words import Words
from runguard_core.usage import Usage

_OPENING = (
    "n", "id", "started_at", "who", "asked", "chain", "turn", "loop", "quote_nanos", "held", "flags",
    "max_output_tokens", "signature", "origins", "sizes",
)  # fmt: skip
_CLOSING = (
    "state", "closing", "ended_after", "outcome", "certainty", "spent", "cost_nanos", *TOKEN_COLUMNS, "duration_seconds",
    "answered", "provider_request_id", "attempt_count", "tools", "result_hash", "result_chars", "more",
)  # fmt: skip


def _insert(columns: Sequence[str]) -> str:
    return f"INSERT INTO call ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  names of ours


INSERT_PENDING = _insert((*_OPENING, "state", "expires_at", "process"))
INSERT_CLOSED = _insert((*_OPENING, *_CLOSING))
CLOSE = (
    f"UPDATE call SET {', '.join(f'{name} = ?' for name in _CLOSING)}, flags = ?, expires_at = NULL, process = NULL "  # noqa: S608  as above
    "WHERE n = ?"
)
_STATE_PLACES = {state: place for place, state in enumerate(STATES)}
_OUTCOME_PLACES = {outcome: place for place, outcome in enumerate(OUTCOMES)}
_CERTAINTY_PLACES = {certainty: place for place, certainty in enumerate(CERTAINTIES)}
_NO_TOKENS = (None,) * len(TOKEN_COLUMNS)


def opening_row(
    db: sqlite3.Connection, words: Words, n: int, call: CallOrDraft, holds: Sequence[Hold], chain: int | None, who: int,
    *, from_cache: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The columns that a reserve fills in. A draft is read as it is: making the whole value first costs as much again."""
    flags = call.quote_is_bound * IS_BOUND + call.unverified * UNVERIFIED + from_cache * FROM_CACHE
    asked: CallRecord | ModelCall | None
    if isinstance(call, CallDraft):
        turn, loop, asked = call.turn, call.loop, call.call if isinstance(call.call, ModelCall) else None
        kind = CallKind.TOOL if asked is None else CallKind.MODEL
    else:
        turn, loop, asked, kind = call.attribution.turn, call.attribution.loop, call, call.kind
    provider = account = fingerprint = most = None
    parts: tuple[PromptPart, ...] = ()
    if asked is not None:
        provider, account, fingerprint, most = asked.provider, asked.account, asked.key_fingerprint, asked.max_output_tokens
        parts = asked.parts
    return (
        n, pack_id(call.id), micros_of(call.started_at), who,
        words.asked(db, (kind, call.name, provider, account, fingerprint, call.policy_hash)), chain, turn, loop,
        call.quote_nanos, pack_held(holds, call.quote_nanos), flags, most, pack_digest(call.signature),
        words.texts(db, tuple([part.origin for part in parts])) if parts else None, pack_sizes(parts),
    )  # fmt: skip


def closing_row(
    db: sqlite3.Connection, words: Words, state: CallState, closing: int, started: int, legs: Sequence[Leg],
    held: Sequence[int], settlement: Settlement,
) -> tuple[Any, ...]:  # fmt: skip
    """The columns that a settlement fills in; `closing` is how many lines after the first, `started` in microseconds."""
    usage, request_id = settlement.usage, settlement.provider_request_id
    tokens: tuple[int | None, ...] = _NO_TOKENS
    if usage is not None:
        tokens = (
            usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens,
            usage.reasoning_output_tokens,
        )  # fmt: skip
    return (
        _STATE_PLACES[state], closing, micros_of(settlement.at) - started, _OUTCOME_PLACES[settlement.outcome],
        _CERTAINTY_PLACES[settlement.certainty], pack_spent(legs, held, settlement), settlement.cost_nanos, *tokens,
        settlement.duration_seconds, words.word(db, settlement.model_answered),
        request_id if request_id is None else fit(request_id), settlement.attempt_count,
        words.texts(db, settlement.tool_names), pack_digest(settlement.result_hash), settlement.result_chars,
        pack_more(settlement),
    )  # fmt: skip


def call_of(db: sqlite3.Connection, words: Words, row: Any) -> CallRecord:
    """A call from its row."""
    kind, name, provider, account, key_fingerprint, policy_hash = words.asked_of(db, row["asked"])
    return CallRecord(
        id=unpack_id(row["id"]), kind=kind, name=name,
        attribution=in_turn(words.attribution_of(db, row["who"]), row["turn"], row["loop"]),
        started_at=instant_of(row["started_at"]), provider=provider, account=account, key_fingerprint=key_fingerprint,
        quote_nanos=row["quote_nanos"], quote_is_bound=bool(row["flags"] & IS_BOUND), max_output_tokens=row["max_output_tokens"],
        signature=unpack_digest(row["signature"]), parts=unpack_parts(words.texts_of(db, row["origins"]), row["sizes"]),
        policy_hash=policy_hash, unverified=bool(row["flags"] & UNVERIFIED), state=state_of(row),
        settlement=settlement_of(db, words, row),
    )  # fmt: skip


def state_of(row: Any) -> CallState:
    """Where a call stands."""
    return STATES[row["state"]]


def kind_of(db: sqlite3.Connection, words: Words, row: Any) -> CallKind:
    """Model or tool."""
    return words.asked_of(db, row["asked"])[0]


def held_of(db: sqlite3.Connection, words: Words, row: Any) -> tuple[tuple[Leg, ...], list[int]]:
    """The accounts of a call and what it set aside in each."""
    legs = words.legs_of(db, row["chain"])
    return legs, unpack_held(row["held"], legs, row["quote_nanos"])


def settlement_of(db: sqlite3.Connection, words: Words, row: Any) -> Settlement | None:
    """How a call ended; None while it has not."""
    if row["outcome"] is None:
        return None
    more = json.loads(row["more"]) if row["more"] is not None else {}
    legs, held = held_of(db, words, row)
    usage, duration, cost = _usage_of(row, more), row["duration_seconds"], row["cost_nanos"]
    return Settlement(
        at=ended_at(row), outcome=OUTCOMES[row["outcome"]],
        amounts=unpack_spent(row["spent"], legs, held, cost, usage, duration), cost_nanos=cost,
        certainty=CERTAINTIES[row["certainty"]], usage=usage, duration_seconds=duration,
        model_answered=words.word_of(db, row["answered"]), provider_request_id=row["provider_request_id"],
        error=more.get("error"), error_status=more.get("error_status"), attempt_count=row["attempt_count"],
        from_cache=bool(row["flags"] & FROM_CACHE), tool_names=words.texts_of(db, row["tools"]),
        result_hash=unpack_digest(row["result_hash"]), result_chars=row["result_chars"], note=more.get("note"),
    )  # fmt: skip


def ended_at(row: Any) -> datetime:
    """When it was known how the call ended."""
    return instant_of(row["started_at"] + row["ended_after"])


def _usage_of(row: Any, more: dict[str, Any]) -> Usage | None:
    if row["input_tokens"] is None:
        return None
    tokens = {name: row[name] for name in TOKEN_COLUMNS}
    if more:
        tokens |= {name: more[name] for name in RARE_TOKENS if name in more}
    return Usage(**tokens)
