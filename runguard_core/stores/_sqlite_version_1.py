"""Reading ledgers of layout 1: one wide row a call, texts and JSON, two lines a call."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty, OutcomeKind, PromptPart
from runguard_core.ledger import CallRecord, CallState, Entry, EntryKind, Move, Settlement
from runguard_core.stores._sqlite_rows import instant_of
from runguard_core.usage import USAGE_FIELDS, Usage

_WHO = ("app", "feature", "team", "owner", "agent", "instance", "user", "session", "run", "turn", "loop", "release")


def every_entry(db: sqlite3.Connection) -> Iterator[Entry]:
    """The lines of the book in order."""
    for row in db.execute("SELECT * FROM entry ORDER BY sequence"):
        yield entry_of(row)


def entry_of(row: Any) -> Entry:
    """A line."""
    moves = tuple([Move(*move) for move in json.loads(row["moves"])])
    at = instant_of(row["at"])
    return Entry(row["sequence"], row["call_id"], EntryKind(row["kind"]), at, moves, row["cost_nanos"], row["reason"])


def held_of(row: Any) -> list[tuple[str, int]]:
    """Account keys and amounts of a call."""
    return [(key, amount) for key, amount in json.loads(row["holds"])]


def call_of(row: Any) -> CallRecord:
    """A call."""
    tags = tuple([(key, value) for key, value in json.loads(row["tags"])])
    return CallRecord(
        id=row["id"], kind=CallKind(row["kind"]), name=row["name"],
        attribution=Attribution(**{name: row[name] for name in _WHO}, tags=tags), started_at=instant_of(row["started_at"]),
        provider=row["provider"], account=row["account"], key_fingerprint=row["key_fingerprint"],
        quote_nanos=row["quote_nanos"], quote_is_bound=bool(row["quote_is_bound"]),
        max_output_tokens=row["max_output_tokens"], signature=row["signature"],
        parts=tuple([PromptPart(*part) for part in json.loads(row["parts"])]), policy_hash=row["policy_hash"],
        unverified=bool(row["unverified"]), state=CallState(row["state"]), settlement=_settlement_of(row),
    )  # fmt: skip


def _settlement_of(row: Any) -> Settlement | None:
    if row["outcome"] is None:
        return None
    tokens = {name: row[name] for name in USAGE_FIELDS}
    return Settlement(
        at=instant_of(row["ended_at"]), outcome=OutcomeKind(row["outcome"]), amounts=json.loads(row["amounts"]),
        cost_nanos=row["cost_nanos"], certainty=Certainty(row["certainty"]),
        usage=None if tokens["input_tokens"] is None else Usage(**tokens), duration_seconds=row["duration_seconds"],
        model_answered=row["model_answered"], provider_request_id=row["provider_request_id"], error=row["error"],
        error_status=row["error_status"], attempt_count=row["attempt_count"], from_cache=bool(row["from_cache"]),
        tool_names=tuple(json.loads(row["tool_names"])), result_hash=row["result_hash"], result_chars=row["result_chars"],
        note=row["note"],
    )  # fmt: skip
