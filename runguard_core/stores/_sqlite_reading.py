"""The reading half of `SqliteStore`."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runguard_core.ledger import (
    ALL_EVENTS,
    AccountRow,
    Balance,
    CallFilter,
    CallRecord,
    Discrepancy,
    Entry,
    Event,
    EventFilter,
    Latch,
    LimitOverride,
    Tell,
    Total,
    TotalKey,
)
from runguard_core.stores import _sqlite_rows as rows
from runguard_core.stores._sqlite_calls import call_of
from runguard_core.stores._sqlite_checking import checked, every_line
from runguard_core.stores._sqlite_connection import Connections
from runguard_core.stores._sqlite_packing import pack_id
from runguard_core.stores._sqlite_selecting import selected
from runguard_core.stores._sqlite_totals import kept_costs, kept_sessions, kept_totals


class SqliteReading:
    """Opens the file and reads it; writes nothing but the schema of a new file."""

    def __init__(self, path: str, *, busy_seconds: float = 30.0) -> None:
        """Open or create the ledger at `path` (mode 0600).

        Raises:
            StoreError: naming the file, why it cannot be used, and the way out.
        """
        self._connections = Connections(path, busy_seconds=busy_seconds)
        self.url = f"sqlite:///{self._connections.path}"
        self._written = 0
        self._local = threading.local()

    def verify(self, tell: Tell | None = None) -> tuple[Discrepancy, ...]:
        """See `Store.verify`; asks SQLite for the file's own integrity too."""
        with self._connections.snapshot() as db:
            return tuple(checked(db, self._connections.words(), tell))

    def balances(self, keys: Iterable[str]) -> dict[str, Balance]:
        """See `Store.balances`."""
        with self._connections.reading() as db:
            return dict(accounts_of(db, keys))

    def accounts(self) -> tuple[AccountRow, ...]:
        """See `Store.accounts`."""
        return tuple(rows.account_of(row) for row in self._all("SELECT * FROM account ORDER BY title, key"))

    def call(self, call_id: str) -> CallRecord | None:
        """See `Store.call`."""
        with self._connections.snapshot() as db:
            row = db.execute("SELECT * FROM call WHERE id = ?", (pack_id(call_id),)).fetchone()
            return call_of(db, self._connections.words(), row) if row is not None else None

    def calls(self, where: CallFilter) -> tuple[CallRecord, ...]:
        """See `Store.calls`."""
        with self._connections.snapshot() as db:
            return tuple(selected(db, self._connections.words(), where))

    def totals(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, Total]:
        """See `Store.totals`: from sums kept by quarters of an hour and by run, as far as they go; the rest from calls."""
        with self._connections.snapshot() as db:
            return kept_totals(db, self._connections.words(), by, where)

    def costs(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, int]:
        """See `Store.costs`."""
        with self._connections.snapshot() as db:
            return kept_costs(db, self._connections.words(), by, where)

    def sessions(self, where: CallFilter) -> tuple[tuple[str, str], ...]:
        """See `Store.sessions`."""
        with self._connections.snapshot() as db:
            return kept_sessions(db, self._connections.words(), where)

    def entries(self, call_id: str | None = None) -> tuple[Entry, ...]:
        """See `Store.entries`."""
        with self._connections.snapshot() as db:
            return tuple(every_line(db, self._connections.words(), call_id))

    def events(self, where: EventFilter = ALL_EVENTS) -> tuple[Event, ...]:
        """See `Store.events`."""
        found = self._all(*_events_asked(where))
        return tuple(rows.event_of(row) for row in reversed(found))

    def latches(self) -> Mapping[tuple[str, str], Latch]:
        """See `Store.latches`; read again only when some connection has written."""
        found: Mapping[tuple[str, str], Latch] = self._fresh("latches", "SELECT * FROM latch", rows.latch_of)
        return found

    def overrides(self) -> Mapping[str, LimitOverride]:
        """See `Store.overrides`; read again only when some connection has written."""
        found: Mapping[str, LimitOverride] = self._fresh("overrides", "SELECT * FROM limit_override", rows.override_of)
        return found

    def _fresh(self, name: str, sql: str, read: Any) -> Any:
        with self._connections.reading() as db:
            seen = (id(db), db.execute("PRAGMA data_version").fetchone()[0], self._written)
            kept = getattr(self._local, name, None)
            if kept is not None and kept[0] == seen:
                return kept[2]
            # somebody wrote; whether latches or limits changed is one small row
            version = (id(db), db.execute("SELECT value FROM meta WHERE key = 'breaker'").fetchone()[0])
            if kept is None or kept[1] != version:
                found = {_key(one): one for one in map(read, db.execute(sql).fetchall())}
            else:
                found = kept[2]
            setattr(self._local, name, (seen, version, found))
            return found

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with self._connections.reading() as db:
            return db.execute(sql, rows.storable(values)).fetchall()

    def close(self) -> None:
        """See `Store.close`."""
        self._connections.close()


def _key(one: Latch | LimitOverride) -> tuple[str, str] | str:
    return one.scope if isinstance(one, Latch) else one.account_key


def accounts_of(db: sqlite3.Connection, keys: Iterable[str]) -> Mapping[str, Balance]:
    """Balances by key; unknown accounts are empty."""
    found = {}
    for key in keys:
        row = db.execute("SELECT posted, pending, assumed, leased FROM account WHERE key = ?", (key,)).fetchone()
        found[key] = Balance(*row) if row is not None else Balance()
    return found


def _events_asked(where: EventFilter) -> list[Any]:
    """The statement that reads events, the latest first, and its values."""
    kinds = None if where.kinds is None else list(where.kinds)
    tests = {
        "app = ?": None if where.app is None else [where.app], "session = ?": None if where.session is None else [where.session],
        "at >= ?": None if where.since is None else [rows.micros(where.since)],
        "at < ?": None if where.until is None else [rows.micros(where.until)],
        f"kind IN ({', '.join('?' * len(kinds or ()))})": kinds,
    }  # fmt: skip
    used = {test: values for test, values in tests.items() if values is not None}
    sql = "SELECT * FROM event" + (" WHERE " + " AND ".join(used) if used else "") + " ORDER BY sequence DESC"  # noqa: S608
    values = [value for some in used.values() for value in some]
    return [f"{sql} LIMIT {int(where.limit)}" if where.limit else sql, *values]
