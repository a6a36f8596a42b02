"""`SqliteLeases`: a SQLite ledger that also grants slices of its accounts to processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from runguard_core.errors import LeaseLostError
from runguard_core.ledger import CallRecord, EntryKind, Granted, Heard, Hold, LeaseVerb, Owner, Refusal, Want
from runguard_core.stores import _sqlite_rows as rows
from runguard_core.stores._laws import lease_entry_id, slice_of
from runguard_core.stores._sqlite import SqliteStore
from runguard_core.stores._sqlite_batches import write_verbs
from runguard_core.stores._sqlite_pen import Pen
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
        with self._writing() as pen:
            db = pen.db
            db.execute(_ENLIST, rows.storable(row))

    def grant(self, owner_id: str, wants: Sequence[Want], *, now: datetime) -> Granted | Refusal:
        """See `LeaseBackend.grant`; on the disk when it returns."""
        with self._writing(durably=True) as pen:
            db = pen.db
            _owner(db, owner_id)
            if pen.expire(now):
                pen.finish()
            amounts: dict[str, int] = {}
            for want in wants:
                hold = Hold(want.account, want.need, want.limit, want.shown_limit)
                balance = pen.balance(pen.leg(hold))
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
    ) -> Heard:
        """See `LeaseBackend.settle`."""
        with self._writing() as pen:
            db = pen.db
            owner, touched = _owner(db, owner_id), dict.fromkeys(keep)
            if offset > owner.applied:
                rests = _apply(pen, owner_id, verbs, touched)
                kept = {key: min(rest, keep.get(key, 0)) for key, rest in rests.items()}
                _set_rests(db, owner_id, kept)
                moved = (offset, rows.micros(deadline), owner_id)
                db.execute("UPDATE lease_owner SET applied = ?, deadline = max(deadline, ?) WHERE id = ?", moved)
            pen.finish()
            held = db.execute("SELECT account_key, rest FROM lease WHERE owner_id = ?", (owner_id,)).fetchall()
            rests = {key: rest for key, rest in held}  # noqa: C416  rows, not pairs
            return Heard(accounts_of(db, touched), {key: rests.get(key, 0) for key in keep})

    def owners(self) -> tuple[Owner, ...]:
        """See `LeaseBackend.owners`."""
        return tuple([_owner_of(row) for row in self._all("SELECT * FROM lease_owner ORDER BY id")])

    def recover(
        self, owner_id: str, offset: int, verbs: Sequence[LeaseVerb], *, is_lost: bool, now: datetime
    ) -> tuple[CallRecord, ...]:
        """See `LeaseBackend.recover`."""
        with self._writing() as pen:
            db = pen.db
            try:
                owner = _owner(db, owner_id)
            except LeaseLostError:
                return ()
            rests = _apply(pen, owner_id, verbs if offset > owner.applied else (), {})
            if is_lost:
                _assume(pen, owner_id, {key: rest for key, rest in rests.items() if rest}, now)
            _set_rests(db, owner_id, dict.fromkeys(rests, 0))
            found = _close_open_calls(pen, owner_id, now)
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


def _apply(pen: Pen, owner_id: str, verbs: Sequence[LeaseVerb], touched: dict[str, None]) -> dict[str, int]:
    """Write the verbs; what they leave of every lease of the owner, at least 0."""
    write_verbs(pen, owner_id, verbs)
    change = {key: -amount for key, amount in pen.sums.moved().items()}
    touched.update(dict.fromkeys(change))
    held = pen.db.execute("SELECT account_key, rest FROM lease WHERE owner_id = ?", (owner_id,)).fetchall()
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


def _assume(pen: Pen, owner_id: str, rests: Mapping[str, int], now: datetime) -> None:
    """Post what is left of lost leases: nobody knows whether it was spent."""
    if rests:
        moves = [(pen.leg_of(key), 0, rest, rest) for key, rest in rests.items()]
        pen.line(lease_entry_id(owner_id), EntryKind.EXPIRE, now, moves, "the journal of its leases was lost")


def _close_open_calls(pen: Pen, owner_id: str, now: datetime) -> tuple[CallRecord, ...]:
    pen.write_calls()
    found = pen.db.execute("SELECT * FROM call WHERE expires_at IS NOT NULL AND process = ?", (owner_id,)).fetchall()
    return tuple(sorted([pen.assume(row, now) for row in found], key=lambda call: call.id))
