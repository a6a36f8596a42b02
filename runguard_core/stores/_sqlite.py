"""`SqliteStore`: the default. One transaction a verb; any number of processes on one file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any

from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError
from runguard_core.ledger import (
    Applied,
    Balance,
    CallOrDraft,
    CallRecord,
    CallState,
    EntryKind,
    Event,
    Hold,
    Latch,
    LimitOverride,
    Refusal,
    Reserved,
    Settled,
    Settlement,
    SettlementOrDraft,
)
from runguard_core.money import check_amount
from runguard_core.stores import _sqlite_rows as rows
from runguard_core.stores._laws import assumed_settlement, check_asked, check_spent
from runguard_core.stores._sqlite_reading import SqliteReading, accounts_of, event_sql

_INSERT_CALL = f"INSERT INTO call ({', '.join(rows.RESERVE_COLUMNS)}) VALUES ({', '.join('?' * len(rows.RESERVE_COLUMNS))})"  # noqa: S608
_SETTLE_CALL = f"UPDATE call SET {', '.join(f'{name} = ?' for name in rows.SETTLE_COLUMNS)} WHERE id = ?"  # noqa: S608
_INSERT_ENTRY = "INSERT INTO entry (call_id, kind, at, moves, cost_nanos, reason) VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_ACCOUNT = "INSERT INTO account (key, unit, title, window_start, window_end, shown_limit) VALUES (?, ?, ?, ?, ?, ?)"
_HOLD = "UPDATE account SET pending = pending + ?, shown_limit = ? WHERE key = ?"
_MOVE = "UPDATE account SET pending = pending + ?, posted = posted + ?, assumed = assumed + ? WHERE key = ?"
#: Tells other connections that latches or overrides have changed.
_BREAKER_CHANGED = "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'breaker'"
_MAX_EXPIRED_AT_ONCE = 100


class SqliteStore(SqliteReading):
    """A ledger in a file: `sqlite:///PATH`."""

    def together(self) -> AbstractContextManager[None]:
        """Many verbs of this thread as one transaction, for loading: five times as fast. Other writers wait meanwhile."""
        return self._connections.together()

    # -- verbs ----------------------------------------------------------------------------------------------------

    def reserve(
        self, call: CallOrDraft, holds: Sequence[Hold], *, expires_at: datetime, owner: str, events: Sequence[Event] = ()
    ) -> Reserved | Refusal:
        """See `Store.reserve`."""
        check_asked(call, holds)
        call = call.record()
        with self._connections.writing() as db:
            if is_known(db, call, holds):
                balances = accounts_of(db, [hold.account.key for hold in holds])
                return Reserved(Applied.EXISTS, tuple([balances[hold.account.key] for hold in holds]))
            expire_overdue(db, call.started_at)
            after = []
            for hold in holds:
                balance = balance_of(db, hold)
                if hold.limit is not None and hold.amount > balance.available(hold.limit):
                    db.execute("UPDATE account SET shown_limit = ? WHERE key = ?", (hold.shown_limit, hold.account.key))
                    return Refusal(hold, balance)
                after.append(replace(balance, pending=balance.pending + hold.amount))
            enter(db, call, holds, expires_at, owner, events)
            return Reserved(Applied.CREATED, tuple(after))

    def post(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.post`."""
        check_spent(settlement)
        settlement = settlement.record()
        with self._connections.writing() as db:
            row = known_row(db, call_id)
            state = CallState(row["state"])
            if state is CallState.VOIDED:
                raise AlreadyVoidedError(call_id)
            if state is CallState.POSTED:
                before = rows.settlement_of(row)
                if before is None or not before.same_as(settlement):
                    raise ConflictingEntryError(call_id, "posted before with other amounts")
                return Settled(Applied.EXISTS, _balances(db, row))
            settle_row_of(db, row, EntryKind.POST, CallState.POSTED, settlement, settlement.note or "")
            say(db, events)
            applied = Applied.LATE if state is CallState.ASSUMED else Applied.CREATED
            return Settled(applied, _balances(db, row))

    def void(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.void`."""
        settlement = settlement.record()
        with self._connections.writing() as db:
            row = db.execute("SELECT * FROM call WHERE id = ?", (call_id,)).fetchone()
            if row is None:
                stone = (call_id, rows.micros(settlement.at))
                added = db.execute("INSERT OR IGNORE INTO tombstone VALUES (?, ?)", stone).rowcount
                return Settled(Applied.CREATED if added else Applied.EXISTS, {})
            state = CallState(row["state"])
            if state is CallState.POSTED:
                raise AlreadyPostedError(call_id)
            if state is CallState.VOIDED:
                return Settled(Applied.EXISTS, _balances(db, row))
            nothing = replace(settlement, amounts={}, cost_nanos=0)
            settle_row_of(db, row, EntryKind.VOID, CallState.VOIDED, nothing, settlement.note or settlement.error or "")
            say(db, events)
            applied = Applied.LATE if state is CallState.ASSUMED else Applied.CREATED
            return Settled(applied, _balances(db, row))

    def extend(self, call_ids: Iterable[str], expires_at: datetime) -> int:
        """See `Store.extend`."""
        until = rows.micros(expires_at)
        with self._connections.writing() as db:
            return sum(
                db.execute(
                    "UPDATE call SET expires_at = max(expires_at, ?) WHERE id = ? AND state = 'pending'",
                    (until, call_id),
                ).rowcount
                for call_id in call_ids
            )

    def expire(self, now: datetime) -> tuple[CallRecord, ...]:
        """See `Store.expire`."""
        found: list[CallRecord] = []
        while True:
            with self._connections.writing() as db:
                some = expire_overdue(db, now)
            found += some
            if len(some) < _MAX_EXPIRED_AT_ONCE:
                return tuple(found)

    def adjust(self, call_id: str, settlement: SettlementOrDraft, reason: str) -> Settled:
        """See `Store.adjust`."""
        check_spent(settlement)
        settlement = settlement.record()
        with self._connections.writing() as db:
            row = known_row(db, call_id)
            if row["state"] == CallState.PENDING.value:
                raise LookupError(call_id)
            settle_row_of(db, row, EntryKind.ADJUST, CallState.POSTED, settlement, reason)
            return Settled(Applied.CREATED, _balances(db, row))

    def announce(self, events: Sequence[Event]) -> None:
        """See `Store.announce`."""
        with self._connections.writing() as db:
            say(db, events)

    # -- the breaker's state --------------------------------------------------------------------------------------

    def put_latch(self, latch: Latch, events: Sequence[Event] = ()) -> None:
        """See `Store.put_latch`."""
        with self._connections.writing() as db:
            known = db.execute("SELECT * FROM latch WHERE scope_kind = ? AND scope_id = ?", latch.scope).fetchone()
            if known is None or not rows.latch_of(known).outranks(latch):
                db.execute(f"INSERT OR REPLACE INTO latch VALUES ({', '.join('?' * 11)})", rows.latch_row(latch))  # noqa: S608
            db.execute(_BREAKER_CHANGED)
            say(db, events)
        self._written += 1

    def drop_latch(self, scope_kind: str, scope_id: str, events: Sequence[Event] = ()) -> bool:
        """See `Store.drop_latch`."""
        with self._connections.writing() as db:
            there = db.execute("DELETE FROM latch WHERE scope_kind = ? AND scope_id = ?", (scope_kind, scope_id)).rowcount
            db.execute(_BREAKER_CHANGED)
            say(db, events)
        self._written += 1
        return bool(there)

    def put_override(self, override: LimitOverride, events: Sequence[Event] = ()) -> None:
        """See `Store.put_override`."""
        check_amount(override.limit)
        with self._connections.writing() as db:
            db.execute("INSERT OR REPLACE INTO limit_override VALUES (?, ?, ?, ?, ?, ?)", rows.override_row(override))
            db.execute(_BREAKER_CHANGED)
            say(db, events)
        self._written += 1


def is_known(db: sqlite3.Connection, call: CallRecord, holds: Sequence[Hold]) -> bool:
    """Whether the same reserve has been entered before.

    Raises:
        ConflictingEntryError: another one of that id has. AlreadyVoidedError: it was voided, or a void of that id came first.
    """
    known = db.execute("SELECT * FROM call WHERE id = ?", (call.id,)).fetchone()
    if known is None:
        if db.execute("SELECT 1 FROM tombstone WHERE call_id = ?", (call.id,)).fetchone():
            raise AlreadyVoidedError(call.id, "a void of this id came first")
        return False
    if known["holds"] != rows.holds_json(holds) or not rows.call_of(known).same_request(call):
        raise ConflictingEntryError(call.id, "reserved before for something else")
    if known["state"] == CallState.VOIDED.value:
        raise AlreadyVoidedError(call.id)
    return True


def enter(
    db: sqlite3.Connection, call: CallRecord, holds: Sequence[Hold], expires_at: datetime, owner: str, events: Sequence[Event]
) -> None:
    """Write a new call, its line and what it sets aside, whatever the limits say."""
    for hold in holds:
        if not db.execute(_HOLD, (hold.amount, hold.shown_limit, hold.account.key)).rowcount:
            balance_of(db, hold)
            db.execute(_HOLD, (hold.amount, hold.shown_limit, hold.account.key))
    db.execute(_INSERT_CALL, rows.reserve_row(call, holds, expires_at, owner))
    moves = [(hold.account.key, hold.amount, 0, 0) for hold in holds]
    line(db, call.id, EntryKind.PENDING, call.started_at, moves, 0, "")
    say(db, events)


def known_row(db: sqlite3.Connection, call_id: str) -> Any:
    """The row of a call. KeyError: there is none; AlreadyVoidedError: a void of that id came first."""
    row = db.execute("SELECT * FROM call WHERE id = ?", (call_id,)).fetchone()
    if row is None:
        if db.execute("SELECT 1 FROM tombstone WHERE call_id = ?", (call_id,)).fetchone():
            raise AlreadyVoidedError(call_id)
        raise KeyError(call_id)
    return row


def balance_of(db: sqlite3.Connection, hold: Hold) -> Balance:
    """The balance of a hold's account, which is opened on first sight."""
    account = hold.account
    row = db.execute("SELECT posted, pending, assumed, leased FROM account WHERE key = ?", (account.key,)).fetchone()
    if row is not None:
        return Balance(*row)
    start, end = rows.micros(account.window_start), rows.micros(account.window_end)
    db.execute(_INSERT_ACCOUNT, (account.key, account.unit.value, account.title, start, end, hold.shown_limit))
    return Balance()


def _balances(db: sqlite3.Connection, row: Any) -> Mapping[str, Balance]:
    return accounts_of(db, [key for key, _ in json.loads(row["holds"])])


def settle_row_of(
    db: sqlite3.Connection, row: Any, kind: EntryKind, state: CallState, settlement: Settlement, reason: str
) -> None:
    """Move every account of the call from what the book said to what the settlement says."""
    before = json.loads(row["amounts"]) if row["amounts"] else {}
    was_pending, was_assumed = row["state"] == CallState.PENDING.value, row["state"] == CallState.ASSUMED.value
    moves = []
    for key, held in json.loads(row["holds"]):
        actual, old = settlement.amounts.get(key, 0), before.get(key, 0)
        assumed = (actual if state is CallState.ASSUMED else 0) - (old if was_assumed else 0)
        move = (-held if was_pending else 0, actual - old, assumed)
        db.execute(_MOVE, (*move, key))
        moves.append((key, *move))
    cost = (settlement.cost_nanos or 0) - (row["cost_nanos"] or 0)
    db.execute(_SETTLE_CALL, (*rows.settle_row(state, settlement), row["id"]))
    line(db, row["id"], kind, settlement.at, moves, cost, reason)


def line(db: sqlite3.Connection, call_id: str, kind: EntryKind, at: datetime, moves: list[Any], cost: int, reason: str) -> None:
    """Append to the book."""
    db.execute(_INSERT_ENTRY, rows.storable((call_id, kind.value, rows.micros(at), rows.to_json(moves), cost, reason)))


def expire_overdue(db: sqlite3.Connection, now: datetime) -> list[CallRecord]:
    """Settle some overdue holds at their quotes."""
    overdue = db.execute(
        "SELECT * FROM call WHERE state = 'pending' AND expires_at <= ? AND process NOT IN (SELECT id FROM lease_owner) "
        "ORDER BY expires_at, id LIMIT ?",
        (rows.micros(now), _MAX_EXPIRED_AT_ONCE),
    ).fetchall()
    found = []
    for row in overdue:
        call = rows.call_of(row)
        amounts = {key: held for key, held in json.loads(row["holds"])}  # noqa: C416
        settlement = replace(assumed_settlement(call, (), now), amounts=amounts)
        settle_row_of(db, row, EntryKind.EXPIRE, CallState.ASSUMED, settlement, "")
        found.append(replace(call, state=CallState.ASSUMED, settlement=settlement))
    return found


def say(db: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Append to the event log."""
    if events:
        db.executemany(event_sql(), [rows.event_row(event) for event in events])
