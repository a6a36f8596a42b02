"""A ledger of layout 1 as its version wrote it: the tables, and a few calls in every state."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

TABLES = """
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE account (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, unit TEXT NOT NULL, title TEXT NOT NULL, window_start INTEGER,
  window_end INTEGER, posted INTEGER NOT NULL DEFAULT 0, pending INTEGER NOT NULL DEFAULT 0,
  assumed INTEGER NOT NULL DEFAULT 0, shown_limit INTEGER
) STRICT;
CREATE TABLE call (
  id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, started_at INTEGER NOT NULL,
  app TEXT NOT NULL, feature TEXT, team TEXT, owner TEXT, agent TEXT, instance TEXT, user TEXT, session TEXT, run TEXT,
  turn INTEGER, loop INTEGER, release TEXT, tags TEXT NOT NULL, provider TEXT, account TEXT, key_fingerprint TEXT,
  quote_nanos INTEGER, quote_is_bound INTEGER NOT NULL, max_output_tokens INTEGER, signature TEXT, parts TEXT NOT NULL,
  policy_hash TEXT NOT NULL, unverified INTEGER NOT NULL, holds TEXT NOT NULL, expires_at INTEGER NOT NULL, process TEXT NOT NULL,
  ended_at INTEGER, outcome TEXT, amounts TEXT, cost_nanos INTEGER, certainty TEXT,
  input_tokens INTEGER, output_tokens INTEGER, cache_read_input_tokens INTEGER, cache_creation_input_tokens INTEGER,
  cache_creation_1h_input_tokens INTEGER, reasoning_output_tokens INTEGER, input_audio_tokens INTEGER,
  cache_audio_read_tokens INTEGER, output_audio_tokens INTEGER, input_image_tokens INTEGER, output_image_tokens INTEGER,
  web_search_count INTEGER, duration_seconds REAL, model_answered TEXT, provider_request_id TEXT, error TEXT,
  error_status INTEGER, attempt_count INTEGER, from_cache INTEGER, tool_names TEXT, result_hash TEXT, result_chars INTEGER,
  note TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE entry (
  sequence INTEGER PRIMARY KEY, call_id TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, moves TEXT NOT NULL,
  cost_nanos INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE INDEX entry_call ON entry (call_id);
CREATE TABLE event (
  sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, at INTEGER NOT NULL, severity TEXT NOT NULL,
  message TEXT NOT NULL, app TEXT NOT NULL, session TEXT, run TEXT, agent TEXT, feature TEXT, call_id TEXT, facts TEXT NOT NULL
) STRICT;
CREATE TABLE latch (
  scope_kind TEXT NOT NULL, scope_id TEXT NOT NULL, state TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL,
  since INTEGER NOT NULL, until INTEGER, account_key TEXT, marks TEXT NOT NULL, session TEXT, set_by TEXT NOT NULL,
  PRIMARY KEY (scope_kind, scope_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE limit_override (
  account_key TEXT NOT NULL PRIMARY KEY, amount INTEGER NOT NULL, set_by TEXT NOT NULL, reason TEXT NOT NULL,
  since INTEGER NOT NULL, until INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstone (call_id TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('schema', '1'), ('breaker', '3');
INSERT INTO event VALUES (1, 'e1', 'kind', 5, 'warn', 'hello', 'app', 's1', NULL, NULL, NULL, NULL, '{"a":"1"}');
INSERT INTO latch VALUES ('run', 'r', 'open', 'repeat', 'x', 1, NULL, NULL, '["m"]', 's1', 'runguard');
INSERT INTO limit_override VALUES ('day', 7, 'ann', 'why', 1, NULL);
INSERT INTO tombstone VALUES ('stone', 1);
"""
START = 1_795_000_000_000_000
_ANSWERED = {
    "outcome": "completed", "certainty": "exact", "input_tokens": 7, "output_tokens": 2, "web_search_count": 1,
    "duration_seconds": 1.25, "model_answered": "m-1", "provider_request_id": "req", "attempt_count": 1, "from_cache": 0,
    "tool_names": '["x","y"]', "result_hash": "0123456789abcdef0123456789abcdef", "result_chars": 3,
}  # fmt: skip
_NO_TOKENS = (
    "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation_1h_input_tokens", "reasoning_output_tokens",
    "input_audio_tokens", "cache_audio_read_tokens", "output_audio_tokens", "input_image_tokens", "output_image_tokens",
)  # fmt: skip


def write_version_1(path: Path, count: int = 12) -> None:
    """A file of so many calls, in turn posted, pending, assumed, voided, and posted twice over by corrections."""
    os.close(os.open(path, os.O_CREAT, 0o600))
    db = sqlite3.connect(path)
    db.executescript(TABLES)
    sums, lines = [0, 0, 0], 0
    for number in range(count):
        state = ("posted", "pending", "assumed", "voided", "corrected")[number % 5]
        held, cost = 10 + number, 20 + 3 * number
        call_id = f"01AAAAAAAAAAAAAAAAAAAAAA{number:02d}" if number % 2 else f"call-{number}"
        row = {
            "id": call_id, "kind": "model", "name": "m", "state": "posted" if state == "corrected" else state,
            "started_at": START + number, "app": "app", "feature": f"f{number % 2}", "agent": "a", "session": f"s{number % 3}",
            "run": "r", "turn": 1, "loop": 1, "tags": '[["k","v"]]', "provider": "p", "quote_nanos": held, "quote_is_bound": 0,
            "parts": '[["user",3,1,3],["tool:x",4,1,0]]', "policy_hash": "h", "unverified": 0, "process": "p1",
            "holds": json.dumps([["day", held]]), "expires_at": START + 10**9,
        }  # fmt: skip
        found = [("pending", START + number, [["day", held, 0, 0]], 0, "")]
        posted = {"posted": cost, "assumed": held, "voided": 0, "corrected": cost}.get(state)
        if posted is not None:
            row |= _ANSWERED | dict.fromkeys(_NO_TOKENS, 0) | {"ended_at": START + 99, "amounts": json.dumps({"day": posted})}
            row |= {"cost_nanos": posted}
            kind = {"assumed": "expire", "voided": "void"}.get(state, "post")
            first = 2 * cost if state == "corrected" else posted
            found.append((kind, START + 99, [["day", -held, first, first if state == "assumed" else 0]], first, ""))
            if state == "voided":
                row |= {"amounts": "{}"}
            if state == "corrected":
                found.append(("adjust", START + 99, [["day", 0, -cost, 0]], -cost, "invoice"))
        if state == "assumed":
            row |= {"outcome": "unknown", "certainty": "assumed", "note": "the hold expired before the call was settled"}
        db.execute(f"INSERT INTO call ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
        for kind, at, moves, nanos, reason in found:
            lines += 1
            db.execute(
                "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", (lines, call_id, kind, at, json.dumps(moves), nanos, reason)
            )
            for _, pending, more, assumed in moves:
                sums = [sums[0] + more, sums[1] + pending, sums[2] + assumed]
    db.execute("INSERT INTO account VALUES (1, 'day', 'USD', 'the day', NULL, NULL, ?, ?, ?, 1000)", sums)
    db.commit()
    db.execute("PRAGMA journal_mode=WAL")
    db.close()
