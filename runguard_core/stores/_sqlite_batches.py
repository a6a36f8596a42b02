"""Many verbs in one transaction: what a journal of leases or a recording says, in its order, without asking any limit again.

A batch usually brings calls that the book has never seen, settled a moment later: they are written as one row each, many at a
time. A batch that brings something known after all is undone and written again verb by verb.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError
from runguard_core.ledger import CallOrDraft, CallState, LeaseVerb, ReserveVerb, SettleVerb
from runguard_core.stores._sqlite_calls import state_of
from runguard_core.stores._sqlite_pen import Pen, closing_of


class _KnownError(Exception):
    """A reserve of the batch is not the first of its id."""


def write_verbs(pen: Pen, owner: str, verbs: Sequence[LeaseVerb]) -> None:
    """Write verbs; what is in the book already, with the same content, is passed over.

    Raises:
        LedgerError, KeyError: a verb contradicts what the book says of its call, as in the verb of the same name.
    """
    pen.finish()
    pen.db.execute("SAVEPOINT batch")
    try:
        _write_new(pen, owner, verbs)
        pen.write_calls()
    except (_KnownError, sqlite3.IntegrityError):
        pen.undo("batch")
        for verb in verbs:
            _write_one(pen, owner, verb)
    pen.db.execute("RELEASE batch")


def _write_new(pen: Pen, owner: str, verbs: Sequence[LeaseVerb]) -> None:
    """Calls of the batch that end in the batch become one row each, at the place where they end."""
    opened: dict[str, tuple[CallOrDraft, ReserveVerb]] = {}
    closed: set[str] = set()
    has_tombstones = pen.db.execute("SELECT 1 FROM tombstone LIMIT 1").fetchone() is not None
    for verb in verbs:
        pen.say(verb.events)
        if isinstance(verb, ReserveVerb):
            call = verb.call
            if call.id in opened or call.id in closed or (has_tombstones and pen.has_tombstone(call.id)):
                raise _KnownError
            opened[call.id] = (call, verb)
            continue
        found = opened.pop(verb.call_id, None)
        if found is None:
            _settle(pen, verb)
            continue
        state, settlement, *_ = closing_of(verb.settlement.record(), is_void=verb.is_void, is_assumed=verb.is_assumed)
        pen.enter_closed(found[0], found[1].holds, state, settlement)
        closed.add(verb.call_id)
    for call, verb in opened.values():
        pen.enter(call, verb.holds, verb.expires_at, owner)


def _write_one(pen: Pen, owner: str, verb: LeaseVerb) -> None:
    if isinstance(verb, SettleVerb):
        _settle(pen, verb)
    else:
        call = verb.call.record()
        if pen.is_known(call, verb.holds):
            return
        pen.enter(call, verb.holds, verb.expires_at, owner)
    pen.say(verb.events)


def _settle(pen: Pen, verb: SettleVerb) -> None:
    """Close a call of an earlier batch."""
    row = pen.known_row(verb.call_id)
    state = state_of(row)
    if state is not CallState.PENDING:
        before = pen.settlement_of(row)
        is_same = before is not None and before.same_as(verb.settlement.record())
        return _check_again(verb, state, is_same=is_same)
    pen.close(row, *closing_of(verb.settlement.record(), is_void=verb.is_void, is_assumed=verb.is_assumed))
    return None


def _check_again(verb: SettleVerb, state: CallState, *, is_same: bool) -> None:
    """The verb was applied before, or somebody else closed the call: the same content is fine, an assumption always is."""
    if verb.is_assumed or (verb.is_void and state is CallState.VOIDED):
        return
    if state is CallState.VOIDED:
        raise AlreadyVoidedError(verb.call_id)
    if verb.is_void:
        raise AlreadyPostedError(verb.call_id)
    if state is not CallState.POSTED or not is_same:
        raise ConflictingEntryError(verb.call_id, "posted before with other amounts")
