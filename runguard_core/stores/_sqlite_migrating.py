"""`migrate`: a ledger of an older layout becomes one of today's, or stays exactly as it is.

The new file is written beside the old one, compared with it line by line, and takes its place in one rename. Nobody else may have
the old one open meanwhile: SQLite gives up its log only to somebody who is alone. A kill leaves the old file whole, and perhaps
the unfinished one beside it, which the next attempt removes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runguard_core.errors import StoreSchemaError, StoreUnavailableError
from runguard_core.ledger import Account, Hold, Tell, Unit
from runguard_core.stores import _sqlite_version_1 as version_1
from runguard_core.stores._sqlite_checking import checked, every_line
from runguard_core.stores._sqlite_copying import Copier
from runguard_core.stores._sqlite_gate import explanation_of, open_gate, queued
from runguard_core.stores._sqlite_packing import pack_id
from runguard_core.stores._sqlite_rows import instant, instant_of
from runguard_core.stores._sqlite_versions import MIGRATABLE, SCHEMA_VERSION, create_tables, version_of
from runguard_core.stores._sqlite_words import Words

_AT_ONCE = 5_000
_BUSY_SECONDS = 1.0
_UNCHANGED = "the ledger is as it was; run `runguard verify` with the version that wrote it"
#: Tables that both layouts have; columns that one of them lacks keep their default.
_SAME = ("account", "event", "latch", "limit_override", "lease_owner", "lease")


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was done, or would be: versions, calls and lines, bytes before and after (0 when nothing was written)."""

    before: int
    after: int
    call_count: int
    line_count: int
    bytes_before: int
    bytes_after: int = 0
    backup: str | None = None


def migrate(path: str, *, dry_run: bool = False, backup: bool = False, tell: Tell | None = None) -> Migrated:
    """Convert the ledger at `path`; a file of today's version is left alone.

    Args:
        dry_run: only say what would be done. backup: keep the old file as PATH.v1. tell: hears of lines written and compared.

    Raises:
        StoreSchemaError: the file is newer, or of no known version.
        StoreUnavailableError: it is in use, damaged, or there is no room; the file is as it was.
    """
    with _alone(path, is_idle=dry_run) as old:
        before, _ = version_of(old)
        if before is not None and before >= SCHEMA_VERSION:
            return Migrated(before, before, 0, 0, Path(path).stat().st_size)
        if before not in MIGRATABLE:
            raise StoreSchemaError(path, f"its schema is version {before}", "name a ledger that an older version has written")
        calls, lines = (old.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("call", "entry"))  # noqa: S608  ours
        found = Migrated(before, SCHEMA_VERSION, calls, lines, Path(path).stat().st_size)
        if dry_run:
            return found
        fresh = f"{path}.migrating"
        try:
            _convert(old, fresh, 2 * lines, tell)
            size = Path(fresh).stat().st_size
            kept = f"{path}.v{before}" if backup else None
            if kept is not None:
                Path(kept).unlink(missing_ok=True)
                os.link(path, kept)
            os.replace(fresh, path)  # noqa: PTH105  the one step that changes anything
            _sync(Path(path).parent)
        finally:
            Path(fresh).unlink(missing_ok=True)
    return Migrated(before, SCHEMA_VERSION, calls, lines, found.bytes_before, size, kept)


@contextlib.contextmanager
def _alone(path: str, *, is_idle: bool) -> Iterator[sqlite3.Connection]:
    """A connection that nobody else has beside it, in its place in the queue of writers."""
    gate = open_gate(path)
    old = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    old.row_factory = sqlite3.Row
    try:
        with queued(gate, _BUSY_SECONDS):
            if not is_idle:
                old.execute("PRAGMA journal_mode=DELETE")  # refused while anybody else has the file open
                old.execute("PRAGMA locking_mode=EXCLUSIVE")
                old.execute("BEGIN EXCLUSIVE")
            yield old
    except sqlite3.Error as error:
        if "locked" in str(error) or "busy" in str(error):
            raise StoreUnavailableError(path, "another program uses it", "stop the programs that use it, then migrate") from error
        raise StoreUnavailableError(*explanation_of(error, path)) from error
    except OSError as error:
        way = "free some space beside the ledger, or make its folder writable; the ledger is as it was"
        raise StoreUnavailableError(path, f"{type(error).__name__}: {error.strerror or error}", way) from error
    finally:
        old.close()
        os.close(gate)


def _convert(old: sqlite3.Connection, fresh: str, work: int, tell: Tell | None) -> None:
    """Write the new file and prove that it says the same."""
    Path(fresh).unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    new = sqlite3.connect(fresh, isolation_level=None)
    new.row_factory = sqlite3.Row
    try:
        new.execute("PRAGMA journal_mode=OFF")  # it is thrown away unless it is finished
        new.execute("PRAGMA synchronous=OFF")
        create_tables(new)
        words = Words()
        done = _copy(old, new, words, work, tell)
        _compare(old, new, words, done, work, tell)
    finally:
        new.close()
    _sync(Path(fresh))


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, words: Words, work: int, tell: Tell | None) -> int:
    new.execute("BEGIN")
    for table in _SAME:
        _copy_table(old, new, table)
    stones = [(pack_id(row["call_id"]), row["at"]) for row in old.execute("SELECT * FROM tombstone")]
    new.executemany("INSERT INTO tombstone (call_id, at) VALUES (?, ?)", stones)
    pen, done = Copier(new, words), 0
    accounts = _accounts(old)
    for first in old.execute("SELECT * FROM entry WHERE kind = 'pending' ORDER BY sequence"):
        row = old.execute("SELECT * FROM call WHERE id = ?", (first["call_id"],)).fetchone()
        lines = old.execute("SELECT * FROM entry WHERE call_id = ? ORDER BY sequence", (first["call_id"],)).fetchall()
        holds = [Hold(accounts[key], amount, None) for key, amount in version_1.held_of(row)]
        call, waiting = version_1.call_of(row), (instant_of(row["expires_at"]), row["process"])
        pen.copy(call, holds, [version_1.entry_of(line) for line in lines], *waiting)
        done += len(lines)
        if done % _AT_ONCE < len(lines):
            pen.sums.write(new)
            pen.write_calls()
            if tell is not None:
                tell(done, work)
    pen.write_calls()
    pen.sums.write(new)
    for line in old.execute("SELECT * FROM entry WHERE call_id NOT IN (SELECT id FROM call) ORDER BY sequence"):
        pen.copy_line(version_1.entry_of(line), accounts)
    breaker = old.execute("SELECT value FROM meta WHERE key = 'breaker'").fetchone()
    last = old.execute("SELECT coalesce(max(sequence), 0) FROM entry").fetchone()[0]
    new.executemany("UPDATE meta SET value = ? WHERE key = ?", [(breaker[0], "breaker"), (str(last), "lines")])
    new.execute("COMMIT")
    return done


def _copy_table(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> None:
    theirs, ours = ([row["name"] for row in db.execute(f"PRAGMA table_info({table})")] for db in (old, new))
    columns = ", ".join([name for name in ours if name in theirs])
    if not columns:
        return
    rows = old.execute(f"SELECT {columns} FROM {table}")  # noqa: S608  names of tables and columns
    places = ", ".join("?" * len(columns.split(", ")))
    while some := rows.fetchmany(_AT_ONCE):
        new.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", [tuple(row) for row in some])  # noqa: S608  as above


def _accounts(old: sqlite3.Connection) -> dict[str, Account]:
    def account(row: Any) -> Account:
        return Account(row["key"], Unit(row["unit"]), row["title"], instant(row["window_start"]), instant(row["window_end"]))

    return {row["key"]: account(row) for row in old.execute("SELECT * FROM account")}


def _compare(old: sqlite3.Connection, new: sqlite3.Connection, words: Words, done: int, work: int, tell: Tell | None) -> None:
    """Every line, and every sum of the new file.

    Raises:
        StoreUnavailableError: they differ.
    """
    lines = every_line(new, words)
    for line in version_1.every_entry(old):
        found = next(lines, None)
        if found != line:
            raise StoreUnavailableError("the new file", f"line {line.sequence} is {found}, was {line}", _UNCHANGED)
        done += 1
        if tell is not None and not done % _AT_ONCE:
            tell(done, work)
    wrong = checked(new, words, None)
    if next(lines, None) is not None or wrong:
        raise StoreUnavailableError("the new file", f"it differs from the old one: {wrong[:3]}", _UNCHANGED)
    if tell is not None:
        tell(work, work)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
