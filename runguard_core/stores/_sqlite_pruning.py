"""Dropping rows of old calls from a file: their sums are carried forward, as a book closes a year."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from importlib.resources import files
from typing import Any

from runguard_core.ledger import TOTAL_FIELDS, Entry, counts_of
from runguard_core.stores import _sqlite_calls as calls
from runguard_core.stores._sqlite_carried import MARK
from runguard_core.stores._sqlite_lines import entry_of, lines_of
from runguard_core.stores._sqlite_packing import CORRECTED
from runguard_core.stores._sqlite_rows import micros_of
from runguard_core.stores._sqlite_selecting import numbers_between
from runguard_core.stores._sqlite_sums import QUARTER_MICROS
from runguard_core.stores._sqlite_words import Words

#: So many calls a transaction: others who write wait for a fraction of a second.
AT_ONCE = 5_000
_COLUMNS, _PLACES = ", ".join(TOTAL_FIELDS), ", ".join("?" * len(TOTAL_FIELDS))
_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in TOTAL_FIELDS)
_CARRY = (
    f"INSERT INTO carried (quarter, who, asked, answered, state, first_at, last_at, {_COLUMNS}) "  # noqa: S608  names of ours
    f"VALUES (?, ?, ?, ?, ?, ?, ?, {_PLACES}) ON CONFLICT (quarter, who, asked, answered, state) DO UPDATE SET "
    f"first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at), {_ADDED}"
)
_CARRY_ACCOUNT = (
    "INSERT INTO carried_account (account, posted, assumed) VALUES ((SELECT id FROM account WHERE key = ?), ?, ?) "
    "ON CONFLICT (account) DO UPDATE SET posted = posted + excluded.posted, assumed = assumed + excluded.assumed"
)
_OLD = "FROM call WHERE n BETWEEN ? AND ? AND expires_at IS NULL AND started_at < ?"
_COUNT_LINES = f"SELECT count(*), coalesce(sum(CASE WHEN flags & {CORRECTED} THEN 1 ELSE 2 END), 0) {_OLD}"
_COUNT_ENTRIES = f"SELECT count(*) FROM entry WHERE call_id IN (SELECT id {_OLD})"  # noqa: S608  as above


def old_rows(db: sqlite3.Connection, before: datetime) -> tuple[tuple[int, int, int], int, int]:
    """Between which numbers settled calls of before lie and the instant, how many there are, and how many lines."""
    least, most = numbers_between(db, None, before)
    span = least, most, micros_of(before)
    count, lines = db.execute(_COUNT_LINES, span).fetchone()
    return span, count, lines + db.execute(_COUNT_ENTRIES, span).fetchone()[0]


def carry(db: sqlite3.Connection, words: Words, span: tuple[int, int, int]) -> tuple[int, int]:
    """Some of the calls, in the open transaction: how many, and the number to go on with."""
    rows = db.execute(f"SELECT * {_OLD} ORDER BY n LIMIT {AT_ONCE}", span).fetchall()
    if not rows:
        return 0, span[1] + 1
    sums = _Carrying(db, words)
    for row in rows:
        sums.take(row)
    sums.write()
    db.executemany("DELETE FROM entry WHERE call_id = ?", [(row["id"],) for row in rows if row["flags"] & CORRECTED])
    db.executemany("DELETE FROM call WHERE n = ?", [(row["n"],) for row in rows])
    return len(rows), rows[-1]["n"] + 1


def make_tables(db: sqlite3.Connection) -> None:
    """Where the sums go, if they are not there; in the open transaction (`executescript` would commit it)."""
    script = files("runguard_core.stores").joinpath("sqlite_carried.sql").read_text("utf-8")
    bare = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    for statement in bare.split(";\n"):
        if statement.strip():
            db.execute(statement)
    db.execute("INSERT OR IGNORE INTO meta VALUES (?, '0')", (MARK,))


class _Carrying:
    """What a batch of calls adds to the carried sums."""

    def __init__(self, db: sqlite3.Connection, words: Words) -> None:
        self._db, self._words = db, words
        self._sums: dict[tuple[int, ...], list[int]] = {}
        self._accounts: dict[str, list[int]] = {}
        self._nanos = 0

    def take(self, row: Any) -> None:
        """One call and its lines."""
        db, words = self._db, self._words
        settlement = calls.settlement_of(db, words, row)
        counts = counts_of(calls.kind_of(db, words, row), row["quote_nanos"], settlement)
        started = row["started_at"]
        key = (started // QUARTER_MICROS, row["who"], row["asked"], row["answered"] or 0, row["state"])
        kept = self._sums.setdefault(key, [started, started, *(0 for _ in counts)])
        kept[0], kept[1] = min(kept[0], started), max(kept[1], started)
        for place, count in enumerate(counts, 2):
            kept[place] += count
        self._nanos += counts[TOTAL_FIELDS.index("cost_nanos")]
        self._move(lines_of(db, words, row))
        if row["flags"] & CORRECTED:
            found = db.execute("SELECT * FROM entry WHERE call_id = ?", (row["id"],)).fetchall()
            self._move([entry_of(db, words, entry) for entry in found])

    def _move(self, lines: Iterable[Entry]) -> None:
        for line in lines:
            for move in line.moves:
                sums = self._accounts.setdefault(move.account_key, [0, 0])
                sums[0] += move.posted
                sums[1] += move.assumed

    def write(self) -> None:
        """Add them."""
        db = self._db
        db.executemany(_CARRY, [(*key, *sums) for key, sums in self._sums.items()])
        db.executemany(_CARRY_ACCOUNT, [(key, *sums) for key, sums in self._accounts.items()])
        db.execute("UPDATE meta SET value = CAST(CAST(value AS INTEGER) + ? AS TEXT) WHERE key = ?", (self._nanos, MARK))
