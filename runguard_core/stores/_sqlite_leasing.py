"""`SqliteLeases`: a SQLite ledger that also grants slices of its accounts to processes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError, LeaseLostError
from runguard_core.ledger import (
    Balance,
    CallRecord,
    CallState,
    EntryKind,
    Granted,
    Hold,
    LeaseVerb,
    Owner,
    Refusal,
    ReserveVerb,
    SettleVerb,
    Want,
)
from runguard_core.stores import _sqlite as verbs_of
from runguard_core.stores import _sqlite_rows as rows
from runguard_core.stores._laws import assumed_settlement, lease_entry_id, slice_of
from runguard_core.stores._sqlite import SqliteStore
from runguard_core.stores._sqlite_reading import accounts_of

_ENLIST = (
    "INSERT INTO lease_owner (id, host, boot_id, journal, applied, deadline) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET boot_id = excluded.boot_id, journal = excluded.journal, applied = excluded.applied, "
    "deadline = excluded.deadline WHERE journal <> excluded.journal"
)
_TAKE = (
    "INSERT INTO lease (owner_id, account_key, rest) VALUES (?, ?, ?) "
    "ON CONFLICT (owner_id, account_key) DO UPDATE SET rest = rest + excluded.rest"
)
_SET_REST = (
    "INSERT INTO lease (owner_id, account_key, rest) VALUES (?, ?, ?) "
    "ON CONFLICT (owner_id, account_key) DO UPDATE SET rest = excluded.rest"
)
_LEASE = "UPDATE account SET leased = leased + ?, shown_limit = coalesce(?, shown_limit) WHERE key = ?"


class SqliteLeases(SqliteStore):
    """A ledger in a file, and a `LeaseBackend`."""

    def enlist(self, owner: Owner) -> None:
        """See `LeaseBackend.enlist`."""
        row = (owner.id, owner.host, owner.boot_id, owner.journal, owner.applied, rows.micros(owner.deadline))
        with self._connections.writing() as db:
            db.execute(_ENLIST, rows.storable(row))

    def grant(self, owner_id: str, wants: Sequence[Want], *, now: datetime) -> Granted | Refusal:
        """See `LeaseBackend.grant`; on the disk when it returns."""
        with self._connections.writing(durably=True) as db:
            _owner(db, owner_id)
            verbs_of.expire_overdue(db, now)
            amounts: dict[str, int] = {}
            for want in wants:
                hold = Hold(want.account, want.need, want.limit, want.shown_limit)
                balance = verbs_of.balance_of(db, hold)
                available = balance.available(want.limit)
                if want.need > available:
                    return Refusal(hold, balance)
                amounts[want.account.key] = slice_of(want.need, want.want, available)
            for want in wants:
                amount = amounts[want.account.key]
                db.execute(_TAKE, (owner_id, want.account.key, amount))
                db.execute(_LEASE, (amount, want.shown_limit, want.account.key))
            return Granted(amounts, accounts_of(db, amounts))

    def settle(
        self, owner_id: str, offset: int, verbs: Sequence[LeaseVerb], *, keep: Mapping[str, int], deadline: datetime
    ) -> Mapping[str, Balance]:
        """See `LeaseBackend.settle`."""
        with self._connections.writing() as db:
            owner, touched = _owner(db, owner_id), dict.fromkeys(keep)
            if offset > owner.applied:
                rests = _apply(db, owner_id, verbs, touched)
                kept = {key: min(rest, keep.get(key, 0)) for key, rest in rests.items()}
                _set_rests(db, owner_id, kept)
                moved = (offset, rows.micros(deadline), owner_id)
                db.execute("UPDATE lease_owner SET applied = ?, deadline = max(deadline, ?) WHERE id = ?", moved)
            return accounts_of(db, touched)

    def owners(self) -> tuple[Owner, ...]:
        """See `LeaseBackend.owners`."""
        return tuple([_owner_of(row) for row in self._all("SELECT * FROM lease_owner ORDER BY id")])

    def recover(
        self, owner_id: str, offset: int, verbs: Sequence[LeaseVerb], *, is_lost: bool, now: datetime
    ) -> tuple[CallRecord, ...]:
        """See `LeaseBackend.recover`."""
        with self._connections.writing() as db:
            try:
                owner = _owner(db, owner_id)
            except LeaseLostError:
                return ()
            rests = _apply(db, owner_id, verbs if offset > owner.applied else (), {})
            if is_lost:
                _assume(db, owner_id, {key: rest for key, rest in rests.items() if rest}, now)
            _set_rests(db, owner_id, dict.fromkeys(rests, 0))
            found = _close_open_calls(db, owner_id, now)
            db.execute("DELETE FROM lease WHERE owner_id = ?", (owner_id,))
            db.execute("DELETE FROM lease_owner WHERE id = ?", (owner_id,))
            return found


def _owner(db: sqlite3.Connection, owner_id: str) -> Owner:
    row = db.execute("SELECT * FROM lease_owner WHERE id = ?", (owner_id,)).fetchone()
    if row is None:
        raise LeaseLostError(owner_id)
    return _owner_of(row)


def _owner_of(row: sqlite3.Row) -> Owner:
    return Owner(
        id=row["id"], host=row["host"], boot_id=row["boot_id"], journal=row["journal"], applied=row["applied"],
        deadline=rows.instant_of(row["deadline"]),
    )  # fmt: skip


def _apply(db: sqlite3.Connection, owner_id: str, verbs: Iterable[LeaseVerb], touched: dict[str, None]) -> dict[str, int]:
    """Write the verbs; what they leave of every lease of the owner, at least 0."""
    change: dict[str, int] = {}
    for verb in verbs:
        moved = _reserve(db, owner_id, verb) if isinstance(verb, ReserveVerb) else _settle(db, verb)
        for key, amount in moved.items():
            change[key] = change.get(key, 0) + amount
    touched.update(dict.fromkeys(change))
    held = db.execute("SELECT account_key, rest FROM lease WHERE owner_id = ?", (owner_id,)).fetchall()
    rests = {key: rest for key, rest in held}  # noqa: C416  rows, not pairs
    return {key: max(0, rests.get(key, 0) + change.get(key, 0)) for key in {**rests, **change}}


def _set_rests(db: sqlite3.Connection, owner_id: str, rests: Mapping[str, int]) -> None:
    """Leave so much of each lease; the accounts' sums follow."""
    for key, rest in rests.items():
        row = db.execute("SELECT rest FROM lease WHERE owner_id = ? AND account_key = ?", (owner_id, key)).fetchone()
        before = row[0] if row is not None else 0
        if rest != before:
            db.execute(_LEASE, (rest - before, None, key))
            db.execute(_SET_REST, (owner_id, key, rest))
        if not rest and row is not None:
            db.execute("DELETE FROM lease WHERE owner_id = ? AND account_key = ?", (owner_id, key))


def _reserve(db: sqlite3.Connection, owner_id: str, verb: ReserveVerb) -> Mapping[str, int]:
    """Enter a call that leases have paid for; what it takes out of them."""
    call = verb.call.record()
    if verbs_of.is_known(db, call, verb.holds):
        return {}
    verbs_of.enter(db, call, verb.holds, verb.expires_at, owner_id, verb.events)
    return {hold.account.key: -hold.amount for hold in verb.holds}


def _settle(db: sqlite3.Connection, verb: SettleVerb) -> Mapping[str, int]:
    """Close a call; what it gives back to the leases."""
    settlement = verb.settlement.record()
    row = verbs_of.known_row(db, verb.call_id)
    state = CallState(row["state"])
    if state is not CallState.PENDING:
        _check_again(verb, row, state)
        return {}
    holds = json.loads(row["holds"])
    if verb.is_assumed:
        kind, after, reason = EntryKind.EXPIRE, CallState.ASSUMED, ""
    elif verb.is_void:
        settlement = replace(settlement, amounts={}, cost_nanos=0)
        kind, after, reason = EntryKind.VOID, CallState.VOIDED, settlement.note or settlement.error or ""
    else:
        kind, after, reason = EntryKind.POST, CallState.POSTED, settlement.note or ""
    verbs_of.settle_row_of(db, row, kind, after, settlement, reason)
    verbs_of.say(db, verb.events)
    return {key: held - settlement.amounts.get(key, 0) for key, held in holds}


def _check_again(verb: SettleVerb, row: sqlite3.Row, state: CallState) -> None:
    """The verb was applied before, or somebody else closed the call: the same content is fine, an assumption always is."""
    if verb.is_assumed or (verb.is_void and state is CallState.VOIDED):
        return
    if state is CallState.VOIDED:
        raise AlreadyVoidedError(verb.call_id)
    if verb.is_void:
        raise AlreadyPostedError(verb.call_id)
    before = rows.settlement_of(row)
    if state is CallState.POSTED and before is not None and before.same_as(verb.settlement.record()):
        return
    raise ConflictingEntryError(verb.call_id, "posted before with other amounts")


def _assume(db: sqlite3.Connection, owner_id: str, rests: Mapping[str, int], now: datetime) -> None:
    """Post what is left of lost leases: nobody knows whether it was spent."""
    if not rests:
        return
    for key, rest in rests.items():
        db.execute("UPDATE account SET posted = posted + ?, assumed = assumed + ? WHERE key = ?", (rest, rest, key))
    moves = [(key, 0, rest, rest) for key, rest in rests.items()]
    verbs_of.line(db, lease_entry_id(owner_id), EntryKind.EXPIRE, now, moves, 0, "the journal of its leases was lost")


def _close_open_calls(db: sqlite3.Connection, owner_id: str, now: datetime) -> tuple[CallRecord, ...]:
    found = []
    query = "SELECT * FROM call WHERE state = 'pending' AND process = ? ORDER BY id"
    for row in db.execute(query, (owner_id,)).fetchall():
        call = rows.call_of(row)
        amounts = {key: held for key, held in json.loads(row["holds"])}  # noqa: C416
        settlement = replace(assumed_settlement(call, (), now), amounts=amounts)
        verbs_of.settle_row_of(db, row, EntryKind.EXPIRE, CallState.ASSUMED, settlement, "")
        found.append(replace(call, state=CallState.ASSUMED, settlement=settlement))
    return tuple(found)
