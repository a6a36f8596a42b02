"""`SqliteStore`: the default. One transaction a verb; any number of processes on one file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    LeaseVerb,
    LimitOverride,
    Refusal,
    Reserved,
    Settled,
    SettlementOrDraft,
)
from runguard_core.money import check_amount
from runguard_core.stores import _sqlite_rows as rows
from runguard_core.stores._laws import check_asked, check_spent
from runguard_core.stores._sqlite_batches import write_verbs
from runguard_core.stores._sqlite_calls import state_of
from runguard_core.stores._sqlite_packing import pack_id
from runguard_core.stores._sqlite_pen import Pen, closing_of
from runguard_core.stores._sqlite_reading import SqliteReading

_PUT_LATCH = (
    "INSERT OR REPLACE INTO latch "
    "(scope_kind, scope_id, state, rule, reason, since, until, account_key, marks, session, set_by) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PUT_OVERRIDE = (
    "INSERT OR REPLACE INTO limit_override (account_key, amount, set_by, reason, since, until) VALUES (?, ?, ?, ?, ?, ?)"
)
#: Tells other connections that latches or overrides have changed.
_BREAKER_CHANGED = "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'breaker'"


class SqliteStore(SqliteReading):
    """A ledger in a file: `sqlite:///PATH`."""

    def together(self) -> AbstractContextManager[None]:
        """Many verbs of this thread as one transaction, for loading: several times as fast. Other writers wait meanwhile."""
        return self._connections.together()

    def load(self, verbs: Sequence[LeaseVerb], owner: str) -> None:
        """Write what was decided elsewhere, in one transaction: no limit is asked, what is here already is passed over.

        Raises:
            LedgerError, KeyError: a verb contradicts what the book says of its call; nothing is changed.
        """
        with self._writing() as pen:
            write_verbs(pen, owner, verbs)

    @contextlib.contextmanager
    def _writing(self, *, durably: bool = False) -> Iterator[Pen]:
        """One transaction and its pen; see `Connections.writing`."""
        with self._connections.writing(durably=durably) as db:
            pen = Pen(db, self._connections.words())
            yield pen
            pen.finish()

    # -- verbs ----------------------------------------------------------------------------------------------------

    def reserve(
        self, call: CallOrDraft, holds: Sequence[Hold], *, expires_at: datetime, owner: str, events: Sequence[Event] = ()
    ) -> Reserved | Refusal:
        """See `Store.reserve`."""
        check_asked(call, holds)
        call = call.record()
        with self._writing() as pen:
            if pen.is_known(call, holds):
                return Reserved(Applied.EXISTS, tuple([pen.balance(pen.leg(hold)) for hold in holds]))
            if pen.expire(call.started_at):
                pen.finish()
            after = []
            for hold in holds:
                leg = pen.leg(hold)
                balance = pen.balance(leg)
                if hold.limit is not None and hold.amount > balance.available(hold.limit):
                    pen.sums.limit(leg, hold.shown_limit)
                    return Refusal(hold, balance)
                after.append(replace(balance, pending=balance.pending + hold.amount))
            pen.enter(call, holds, expires_at, owner)
            pen.say(events)
            return Reserved(Applied.CREATED, tuple(after))

    def post(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.post`."""
        check_spent(settlement)
        settlement = settlement.record()
        with self._writing() as pen:
            row = pen.known_row(call_id)
            state = state_of(row)
            if state is CallState.VOIDED:
                raise AlreadyVoidedError(call_id)
            if state is CallState.POSTED:
                before = pen.settlement_of(row)
                if before is None or not before.same_as(settlement):
                    raise ConflictingEntryError(call_id, "posted before with other amounts")
                return Settled(Applied.EXISTS, _balances(pen, row))
            pen.close(row, *closing_of(settlement))
            pen.say(events)
            return Settled(Applied.LATE if state is CallState.ASSUMED else Applied.CREATED, _balances(pen, row))

    def void(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.void`."""
        settlement = settlement.record()
        with self._writing() as pen:
            row = pen.row(call_id)
            if row is None:
                stone = (pack_id(call_id), rows.micros(settlement.at))
                added = pen.db.execute("INSERT OR IGNORE INTO tombstone (call_id, at) VALUES (?, ?)", stone).rowcount
                return Settled(Applied.CREATED if added else Applied.EXISTS, {})
            state = state_of(row)
            if state is CallState.POSTED:
                raise AlreadyPostedError(call_id)
            if state is CallState.VOIDED:
                return Settled(Applied.EXISTS, _balances(pen, row))
            pen.close(row, *closing_of(settlement, is_void=True))
            pen.say(events)
            return Settled(Applied.LATE if state is CallState.ASSUMED else Applied.CREATED, _balances(pen, row))

    def extend(self, call_ids: Iterable[str], expires_at: datetime) -> int:
        """See `Store.extend`."""
        sql = "UPDATE call SET expires_at = max(expires_at, ?) WHERE id = ? AND expires_at IS NOT NULL"
        until = rows.micros(expires_at)
        with self._writing() as pen:
            return sum([pen.db.execute(sql, (until, pack_id(call_id))).rowcount for call_id in call_ids])

    def expire(self, now: datetime) -> tuple[CallRecord, ...]:
        """See `Store.expire`."""
        found: list[CallRecord] = []
        while True:
            with self._writing() as pen:
                some = pen.expire(now)
            if not some:
                return tuple(found)
            found += some

    def adjust(self, call_id: str, settlement: SettlementOrDraft, reason: str) -> Settled:
        """See `Store.adjust`."""
        check_spent(settlement)
        settlement = settlement.record()
        with self._writing() as pen:
            row = pen.known_row(call_id)
            if state_of(row) is CallState.PENDING:
                raise LookupError(call_id)
            pen.close(row, CallState.POSTED, settlement, EntryKind.ADJUST, reason)
            return Settled(Applied.CREATED, _balances(pen, row))

    def announce(self, events: Sequence[Event]) -> int:
        """See `Store.announce`."""
        with self._writing() as pen:
            pen.say(events)
        return pen.said_count

    # -- the breaker's state --------------------------------------------------------------------------------------

    def put_latch(self, latch: Latch, events: Sequence[Event] = ()) -> None:
        """See `Store.put_latch`."""
        with self._writing() as pen:
            known = pen.db.execute("SELECT * FROM latch WHERE scope_kind = ? AND scope_id = ?", latch.scope).fetchone()
            if known is None or not rows.latch_of(known).outranks(latch):
                pen.db.execute(_PUT_LATCH, rows.latch_row(latch))
            pen.db.execute(_BREAKER_CHANGED)
            pen.say(events)
        self._written += 1

    def drop_latch(self, scope_kind: str, scope_id: str, events: Sequence[Event] = ()) -> bool:
        """See `Store.drop_latch`."""
        with self._writing() as pen:
            there = pen.db.execute("DELETE FROM latch WHERE scope_kind = ? AND scope_id = ?", (scope_kind, scope_id)).rowcount
            pen.db.execute(_BREAKER_CHANGED)
            pen.say(events)
        self._written += 1
        return bool(there)

    def put_override(self, override: LimitOverride, events: Sequence[Event] = ()) -> None:
        """See `Store.put_override`."""
        check_amount(override.limit)
        with self._writing() as pen:
            pen.db.execute(_PUT_OVERRIDE, rows.override_row(override))
            pen.db.execute(_BREAKER_CHANGED)
            pen.say(events)
        self._written += 1


def _balances(pen: Pen, row: Any) -> Mapping[str, Balance]:
    """The balances of a call's accounts, everything collected included."""
    pen.finish()
    legs, _ = pen.held_of(row)
    return {leg.key: pen.balance(leg) for leg in legs}
