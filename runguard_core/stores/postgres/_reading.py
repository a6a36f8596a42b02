"""The reading half of `PostgresStore`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import (
    ALL_EVENTS,
    AccountRow,
    Balance,
    CallFilter,
    CallRecord,
    CallState,
    Discrepancy,
    Entry,
    EntryKind,
    Event,
    EventFilter,
    Latch,
    LimitOverride,
    Move,
    Tell,
    Total,
    TotalKey,
    costs_of,
    latest_sessions,
    totals_of,
)
from runguard_core.stores._sqlite_rows import instant_of, micros
from runguard_core.stores._watching import Watch
from runguard_core.stores.postgres import _rows as rows
from runguard_core.stores.postgres._address import parse_address
from runguard_core.stores.postgres._connections import REPLY_SECONDS, Connections, Link
from runguard_core.stores.postgres._schema import check
from runguard_core.stores.postgres._totals import sums_query, totals_from

_ENTRIES = (
    "SELECT e.*, c.id, c.accounts AS its, c.held FROM entry e LEFT JOIN call c ON c.number = e.call {where} ORDER BY e.sequence"
)
_LATEST_SESSIONS = (
    "SELECT * FROM {}_sessions(%s, %s::bigint, %s::bigint, %s::integer) "
    'ORDER BY at DESC, app COLLATE "C", conversation COLLATE "C" LIMIT %s::integer'
)


class PostgresReading:
    """Opens the ledger and reads it; writes nothing but the schema of an empty one."""

    def __init__(self, url: str, *, reply_seconds: float = REPLY_SECONDS) -> None:
        """Connect, and set the ledger up where there is none.

        Args:
            url: `postgresql://USER@HOST:PORT/DATABASE?schema=NAME`; "runguard" is the schema that is not named.
            reply_seconds: how long a reply is waited for before the connection is given up.

        Raises:
            StoreError: naming the server, why it cannot be used, and the way out.
        """
        address = parse_address(url)
        self.url = address.shown
        self._ledger_id: str | None = None
        self._keys: dict[int, str] = {}  # of accounts: they are opened and never change
        self._number_of: dict[str, int] = {}
        self._connections = Connections(address, self._look_at, reply_seconds=reply_seconds)
        self._connections.run(lambda link: link.closed)  # connecting is what may fail
        self._watch = Watch(self._breaker_version, self._read_latches, self._read_overrides, place=self.url)

    def _look_at(self, link: Link) -> None:
        found = check(link, self._connections.address)
        if self._ledger_id not in {None, found}:
            reason = "the ledger was replaced by another one while it was open"
            raise StoreUnavailableError(self.url, reason, "restart the program; restore the old one to keep its history")
        self._ledger_id = found

    def verify(self, tell: Tell | None = None) -> tuple[Discrepancy, ...]:
        """See `Store.verify`; the sums are made by the server, in one view of the book, and nothing is told on the way."""
        found = self._all("SELECT * FROM verify()")
        return tuple(Discrepancy(*row) for row in found)

    def balances(self, keys: Iterable[str]) -> dict[str, Balance]:
        """See `Store.balances`."""
        wanted = list(keys)
        asked = [rows.fit(key) for key in wanted]
        sql = "SELECT a.* FROM unnest(%s::text[]) k(key) JOIN account a ON a.key = k.key"
        found = {row.key: rows.account_of(row).balance for row in self._all(sql, asked)}
        return {key: found.get(fit, Balance()) for key, fit in zip(wanted, asked, strict=True)}

    def accounts(self) -> tuple[AccountRow, ...]:
        """See `Store.accounts`."""
        return tuple(rows.account_of(row) for row in self._all("SELECT * FROM account ORDER BY title, key"))

    def call(self, call_id: str) -> CallRecord | None:
        """See `Store.call`."""
        found = self._calls("SELECT * FROM call WHERE id = %s", rows.fit(call_id))
        return found[0] if found else None

    def calls(self, where: CallFilter) -> tuple[CallRecord, ...]:
        """See `Store.calls`."""
        tests = {
            "app = %s": where.app, "session = %s": where.session, "run = %s": where.run, "agent = %s": where.agent,
            "started_at >= %s": micros(where.since), "started_at < %s": micros(where.until),
        }  # fmt: skip
        if where.state is CallState.PENDING:  # few, and listed
            tests["number IN (SELECT call FROM hold) AND state = %s"] = where.state.value
        elif where.state is not None:
            tests["state = %s"] = where.state.value
        sql, values = _where("SELECT * FROM call", tests)
        found = self._calls(_latest(f"{sql} ORDER BY started_at DESC, id DESC", where.limit), *values)
        return tuple(reversed(found))

    def totals(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, Total]:
        """See `Store.totals`; by what sums are kept for from these, by others (sessions, runs, users, tags) from the calls."""
        if where.limit:
            return totals_of(self.calls(where), by)
        sql, values = sums_query(by, where)
        return totals_from(self._all(sql, *values), by)

    def costs(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, int]:
        """See `Store.costs`."""
        return costs_of(self.totals(by, where))

    def sessions(self, where: CallFilter) -> tuple[tuple[str, str], ...]:
        """See `Store.sessions`."""
        if where.session or where.run or where.agent or where.state:
            return latest_sessions(self.calls(replace(where, limit=None)), where.limit)
        values = [where.app, micros(where.since), micros(where.until), where.limit]
        found = self._all(_LATEST_SESSIONS.format("latest" if where.limit else "all"), *values, where.limit)
        return tuple((row.app, row.conversation) for row in found)

    def entries(self, call_id: str | None = None) -> tuple[Entry, ...]:
        """See `Store.entries`."""
        if call_id is None:
            found = self._all(_ENTRIES.format(where=""))
        else:
            where = "WHERE e.call = (SELECT number FROM call WHERE id = %s) OR e.call_id = %s"
            found = self._all(_ENTRIES.format(where=where), rows.fit(call_id), rows.fit(call_id))
        keys = self._keys_of(number for row in found for number in _numbers(row))
        return tuple(_entry(row, keys) for row in found)

    def events(self, where: EventFilter = ALL_EVENTS) -> tuple[Event, ...]:
        """See `Store.events`."""
        tests = {
            "app = %s": where.app, "session = %s": where.session, "at >= %s": micros(where.since), "at < %s": micros(where.until),
            "kind = ANY (%s)": None if where.kinds is None else list(where.kinds),
        }  # fmt: skip
        sql, values = _where("SELECT * FROM event", tests)
        found = self._all(_latest(f"{sql} ORDER BY sequence DESC", where.limit), *values)
        return tuple(rows.event_of(row) for row in reversed(found))

    def latches(self) -> Mapping[tuple[str, str], Latch]:
        """See `Store.latches`; others' are seen within the time that `Watch` states, one's own at once."""
        return self._watch.latches()

    def overrides(self) -> Mapping[str, LimitOverride]:
        """See `Store.overrides`; as for `latches`."""
        return self._watch.overrides()

    def _breaker_version(self) -> str:
        return str(self._all("SELECT value FROM meta WHERE key = 'breaker'")[0].value)

    def _read_latches(self) -> Mapping[tuple[str, str], Latch]:
        return {latch.scope: latch for latch in map(rows.latch_of, self._all("SELECT * FROM latch"))}

    def _read_overrides(self) -> Mapping[str, LimitOverride]:
        return {one.account_key: one for one in map(rows.override_of, self._all("SELECT * FROM limit_override"))}

    def close(self) -> None:
        """See `Store.close`."""
        self._watch.close()
        self._connections.close()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        fit = [rows.fit(value) if isinstance(value, str) else value for value in values]
        return self._connections.run(lambda link: link.execute(sql, fit or None).fetchall())

    def _calls(self, sql: str, *values: Any) -> tuple[CallRecord, ...]:
        return self._records(self._all(sql, *values))

    def _records(self, found: Sequence[Any]) -> tuple[CallRecord, ...]:
        keys = self._keys_of(number for row in found if row.amounts is not None for number in row.accounts)
        return tuple([rows.call_of(row, keys) for row in found])

    def _keys_of(self, numbers: Iterable[int]) -> Mapping[int, str]:
        missing = list(set(numbers) - self._keys.keys())
        if missing:
            found = self._all("SELECT id, key FROM account WHERE id = ANY (%s::bigint[])", missing)
            self._keys.update({row.id: row.key for row in found})
        return self._keys


def _where(sql: str, tests: Mapping[str, Any]) -> tuple[str, list[Any]]:
    used = {test: value for test, value in tests.items() if value is not None}
    return sql + (" WHERE " + " AND ".join(used) if used else ""), list(used.values())


def _latest(sql: str, limit: int | None) -> str:
    return f"{sql} LIMIT {int(limit)}" if limit else sql


def _numbers(row: Any) -> Sequence[int]:
    """The accounts that a line moves."""
    found: Sequence[int] = row.its if row.call is not None else row.accounts
    return found


def _entry(row: Any, keys: Mapping[int, str]) -> Entry:
    numbers = _numbers(row)
    zeros = [0] * len(numbers)
    held = row.held if row.call is not None else zeros
    if row.kind == EntryKind.PENDING.value:
        pending: Sequence[int] = held
    else:
        pending = [-amount for amount in held] if row.was_pending else zeros
    moves = zip((keys[number] for number in numbers), pending, row.posted or zeros, row.assumed or zeros, strict=True)
    return Entry(
        row.sequence, row.id if row.call is not None else row.call_id, EntryKind(row.kind), instant_of(row.at),
        tuple(Move(*move) for move in moves), row.cost_nanos, row.reason or "",
    )  # fmt: skip
