"""`Pen`: everything that writes calls, lines and sums, inside one transaction.

Rows and sums are collected and written at `finish`, so that a batch of a thousand calls costs a few statements. Whoever asks for
a row sees what was collected before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from runguard_core.calls import CallKind
from runguard_core.errors import AlreadyVoidedError, ConflictingEntryError
from runguard_core.ledger import (
    Balance,
    CallOrDraft,
    CallRecord,
    CallState,
    EntryKind,
    Event,
    Hold,
    Settlement,
    counts_of,
)
from runguard_core.stores import _sqlite_calls as calls
from runguard_core.stores import _sqlite_rows as rows
from runguard_core.stores._laws import assumed_settlement
from runguard_core.stores._sqlite_lines import closing_reason, lines_of, moves_text
from runguard_core.stores._sqlite_packing import (
    CLOSING_KINDS,
    CORRECTED,
    FROM_CACHE,
    IS_BOUND,
    UNVERIFIED,
    Leg,
    fit,
    pack_id,
    unpack_id,
)
from runguard_core.stores._sqlite_sums import QUARTER_MICROS, Sums
from runguard_core.stores._sqlite_words import Words

_INSERT_ENTRY = "INSERT INTO entry (sequence, call_id, kind, at, moves, cost_nanos, reason) VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_EVENT = (
    "INSERT OR IGNORE INTO event (id, kind, at, severity, message, app, session, run, agent, feature, call_id, facts) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_OVERDUE = (
    "SELECT * FROM call WHERE expires_at <= ? AND process NOT IN (SELECT id FROM lease_owner) ORDER BY expires_at, id LIMIT ?"
)
_MOST_EXPIRED_AT_ONCE = 100


class Pen:
    """Writes one transaction."""

    def __init__(self, db: sqlite3.Connection, words: Words) -> None:
        """For the transaction that is open in `db`."""
        self.db, self.words = db, words
        self.sums = Sums()
        self.pending: list[tuple[Any, ...]] = []
        self.closed: list[tuple[Any, ...]] = []
        self._events: list[Event] = []
        self.said_count = 0  # events that were new
        self._next = 0

    # -- asking -------------------------------------------------------------------------------------------------------

    def row(self, call_id: str) -> Any:
        """The row of a call; None when unknown."""
        self.write_calls()
        return self.db.execute("SELECT * FROM call WHERE id = ?", (pack_id(call_id),)).fetchone()

    def known_row(self, call_id: str) -> Any:
        """The row of a call. KeyError: there is none; AlreadyVoidedError: a void of that id came first."""
        row = self.row(call_id)
        if row is None:
            if self.has_tombstone(call_id):
                raise AlreadyVoidedError(call_id)
            raise KeyError(call_id)
        return row

    def has_tombstone(self, call_id: str) -> bool:
        """Whether the id was voided before it was reserved."""
        return self.db.execute("SELECT 1 FROM tombstone WHERE call_id = ?", (pack_id(call_id),)).fetchone() is not None

    def is_known(self, call: CallRecord, holds: Sequence[Hold]) -> bool:
        """Whether the same reserve has been entered before.

        Raises:
            ConflictingEntryError: another one of that id has. AlreadyVoidedError: it was voided, or a void of that id came first.
        """
        row = self.row(call.id)
        if row is None:
            if self.has_tombstone(call.id):
                raise AlreadyVoidedError(call.id, "a void of this id came first")
            return False
        legs, held = self.held_of(row)
        same = [(leg.key, amount) for leg, amount in zip(legs, held, strict=True)]
        if same != [(hold.account.key, hold.amount) for hold in holds] or not self.call_of(row).same_request(call):
            raise ConflictingEntryError(call.id, "reserved before for something else")
        if calls.state_of(row) is CallState.VOIDED:
            raise AlreadyVoidedError(call.id)
        return True

    def call_of(self, row: Any) -> CallRecord:
        """The call of a row."""
        return calls.call_of(self.db, self.words, row)

    def settlement_of(self, row: Any) -> Settlement | None:
        """How the call of a row ended; None while it has not."""
        return calls.settlement_of(self.db, self.words, row)

    def held_of(self, row: Any) -> tuple[tuple[Leg, ...], list[int]]:
        """The accounts of a row's call and what it set aside in each."""
        return calls.held_of(self.db, self.words, row)

    def leg(self, hold: Hold) -> Leg:
        """The account of a hold, opened on first sight."""
        return self.words.leg(self.db, hold.account, hold.shown_limit)

    def leg_of(self, key: str) -> Leg:
        """An account that is there, by its key."""
        row = self.db.execute("SELECT id FROM account WHERE key = ?", (key,)).fetchone()
        return self.words.leg_of(self.db, row[0])

    def balance(self, leg: Leg) -> Balance:
        """An account's sums, without what has only been collected."""
        sql = "SELECT posted, pending, assumed, leased FROM account WHERE id = ?"
        return Balance(*self.db.execute(sql, (leg.id,)).fetchone())

    # -- calls --------------------------------------------------------------------------------------------------------

    def enter(self, call: CallOrDraft, holds: Sequence[Hold], expires_at: datetime, owner: str) -> None:
        """A new call in flight, and what it sets aside, whatever the limits say."""
        (who, _), (chain, legs) = self.words.who(self.db, call), self.words.chain(self.db, holds)
        opening = calls.opening_row(self.db, self.words, self._number(), call, holds, chain, who)
        self.pending.append((*opening, 0, rows.micros_of(expires_at), fit(owner)))
        for leg, hold in zip(legs, holds, strict=True):
            self.sums.limit(leg, hold.shown_limit)
            self.sums.move(leg, hold.amount, 0)

    def enter_closed(self, call: CallOrDraft, holds: Sequence[Hold], state: CallState, settlement: Settlement) -> None:
        """A new call that has been settled already: both of its lines as one row."""
        (who, payer), (chain, legs) = self.words.who(self.db, call), self.words.chain(self.db, holds)
        n, from_cache = self._number(2), settlement.from_cache
        opening = calls.opening_row(self.db, self.words, n, call, holds, chain, who, from_cache=from_cache)
        started = opening[2]
        held = [hold.amount for hold in holds]
        self.closed.append(opening + calls.closing_row(self.db, self.words, state, 1, started, legs, held, settlement))
        amounts, is_assumed = settlement.amounts, state is CallState.ASSUMED
        for leg, hold in zip(legs, holds, strict=True):
            actual = amounts.get(leg.key, 0)
            self.sums.limit(leg, hold.shown_limit)
            self.sums.move(leg, 0, actual, actual if is_assumed else 0)
        answered = self.words.word(self.db, settlement.model_answered) or 0
        key = (started // QUARTER_MICROS, payer, opening[4], answered)
        kind = call.kind if isinstance(call, CallRecord) else CallKind.TOOL if isinstance(call.call, str) else CallKind.MODEL
        self.sums.call(n, started, who, key, counts_of(kind, call.quote_nanos, settlement))

    def close(self, row: Any, state: CallState, settlement: Settlement, kind: EntryKind, reason: str) -> None:
        """Settle a call, or correct it: every account moves from what the book said to what the settlement says."""
        was, (legs, held) = calls.state_of(row), self.held_of(row)
        before, n, started = self.settlement_of(row), row["n"], row["started_at"]
        moves = []
        for leg, hold in zip(legs, held, strict=True):
            actual, old = settlement.amounts.get(leg.key, 0), before.amounts.get(leg.key, 0) if before is not None else 0
            assumed = (actual if state is CallState.ASSUMED else 0) - (old if was is CallState.ASSUMED else 0)
            moves.append((leg.id, -hold if before is None else 0, actual - old, assumed))
            self.sums.move(leg, *moves[-1][1:])
        number = self._number()
        closing = number - n
        if before is not None:
            cost = (settlement.cost_nanos or 0) - (before.cost_nanos or 0)
            closing = row["closing"]
            self._keep_closing_line(row)
            self.insert_entry(number, row["id"], kind, settlement.at, moves, cost, reason)
            self._count(row, before, sign=-1)
        values = calls.closing_row(self.db, self.words, state, closing, started, legs, held, settlement)
        flags = row["flags"] & (IS_BOUND | UNVERIFIED) | settlement.from_cache * FROM_CACHE | (before is not None) * CORRECTED
        self.db.execute(calls.CLOSE, (*values, flags, n))
        self._count(row, settlement)

    def assume(self, row: Any, at: datetime) -> CallRecord:
        """Post a call at its quote, because nobody settled it in time; the call then."""
        call, (legs, held) = self.call_of(row), self.held_of(row)
        amounts = {leg.key: amount for leg, amount in zip(legs, held, strict=True)}
        settlement = replace(assumed_settlement(call, (), at), amounts=amounts)
        self.close(row, CallState.ASSUMED, settlement, EntryKind.EXPIRE, "")
        return replace(call, state=CallState.ASSUMED, settlement=settlement)

    def expire(self, now: datetime) -> list[CallRecord]:
        """Settle some overdue holds at their quotes, those of living owners of leases excepted."""
        self.write_calls()
        overdue = self.db.execute(_OVERDUE, (rows.micros_of(now), _MOST_EXPIRED_AT_ONCE)).fetchall()
        return [self.assume(row, now) for row in sorted(overdue, key=lambda row: (row["expires_at"], unpack_id(row["id"])))]

    def _count(self, row: Any, settlement: Settlement, *, sign: int = 1) -> None:
        kind: CallKind = calls.kind_of(self.db, self.words, row)
        answered = self.words.word(self.db, settlement.model_answered) or 0
        started, who = row["started_at"], row["who"]
        key = (started // QUARTER_MICROS, self.words.payer_of(self.db, who), row["asked"], answered)
        self.sums.call(row["n"], started, who, key, counts_of(kind, row["quote_nanos"], settlement), sign=sign)

    # -- lines --------------------------------------------------------------------------------------------------------

    def line(self, call_id: str, kind: EntryKind, at: datetime, moves: Iterable[tuple[Leg, int, int, int]], reason: str) -> None:
        """A line that belongs to no call; its accounts move with it."""
        told = []
        for leg, pending, posted, assumed in moves:
            self.sums.move(leg, pending, posted, assumed)
            told.append((leg.id, pending, posted, assumed))
        self.insert_entry(self._number(), pack_id(call_id), kind, at, told, 0, reason)

    def _keep_closing_line(self, row: Any) -> None:
        """Before a row is corrected: the line it stood for becomes a line of its own."""
        if row["flags"] & CORRECTED:
            return
        line = lines_of(self.db, self.words, row)[-1]
        legs, _ = self.held_of(row)
        moves = [(leg.id, m.pending, m.posted, m.assumed) for leg, m in zip(legs, line.moves, strict=True)]
        self.insert_entry(line.sequence, row["id"], line.kind, line.at, moves, line.cost_nanos, line.reason)

    def insert_entry(
        self,
        number: int,
        call_id: bytes | str,
        kind: EntryKind,
        at: datetime,
        moves: Sequence[Sequence[int]],
        cost: int,
        reason: str,
    ) -> None:
        """A line of its own."""
        values = (number, call_id, kind.value, rows.micros_of(at), moves_text(moves), cost, fit(reason))
        self.db.execute(_INSERT_ENTRY, values)

    def _number(self, count: int = 1) -> int:
        """The number of the next line, or of the first of several."""
        if not self._next:
            self._next = int(self.db.execute("SELECT value FROM meta WHERE key = 'lines'").fetchone()[0]) + 1
        number, self._next = self._next, self._next + count
        return number

    def say(self, events: Sequence[Event]) -> None:
        """Append to the event log."""
        if events:
            self._events += events

    # -- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Write what was collected."""
        self.write_calls()
        self.sums.write(self.db)
        if self._events:
            self.said_count += self.db.executemany(_INSERT_EVENT, [rows.event_row(event) for event in self._events]).rowcount
            self._events = []
        if self._next:
            self.db.execute("UPDATE meta SET value = ? WHERE key = 'lines'", (str(self._next - 1),))
            self._next = 0

    def undo(self, savepoint: str) -> None:
        """Forget what was collected and written since a savepoint."""
        self.db.execute(f"ROLLBACK TO {savepoint}")
        self.words.forget()
        self.__init__(self.db, self.words)  # type: ignore[misc]  # as at the beginning

    def write_calls(self) -> None:
        """Write the rows that were collected."""
        if self.pending:
            self.db.executemany(calls.INSERT_PENDING, self.pending)
            self.pending = []
        if self.closed:
            self.db.executemany(calls.INSERT_CLOSED, self.closed)
            self.closed = []


def closing_of(
    settlement: Settlement, *, is_void: bool = False, is_assumed: bool = False
) -> tuple[CallState, Settlement, EntryKind, str]:
    """What a settling verb leaves: the state, what is settled, and the kind and reason of its line."""
    if is_assumed:
        state = CallState.ASSUMED
    elif is_void:
        state, settlement = CallState.VOIDED, replace(settlement, amounts={}, cost_nanos=0)
    else:
        state = CallState.POSTED
    return state, settlement, CLOSING_KINDS[state], closing_reason(state, settlement)
