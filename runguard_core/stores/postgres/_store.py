"""`PostgresStore`: one function of the database a verb, any number of processes and hosts on one ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.types.numeric import Int8

from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError, StoreError
from runguard_core.ids import new_id
from runguard_core.ledger import (
    Applied,
    Balance,
    CallOrDraft,
    CallRecord,
    Event,
    Hold,
    Latch,
    LimitOverride,
    Refusal,
    Reserved,
    Settled,
    SettlementOrDraft,
)
from runguard_core.money import check_amount
from runguard_core.stores._laws import check_asked, check_spent
from runguard_core.stores._sqlite_rows import micros
from runguard_core.stores.postgres import _rows as rows
from runguard_core.stores.postgres._reading import PostgresReading

_RESERVE = "SELECT * FROM reserve(%s::jsonb, %s::jsonb, %s, %s, %s::jsonb)"
_POST = "SELECT * FROM post(%s, %s::jsonb, %s::jsonb, %s::jsonb)"
_VOID = "SELECT * FROM void(%s, %s::jsonb, %s::jsonb)"
_ADJUST = "SELECT * FROM adjust(%s, %s::jsonb, %s::jsonb, %s, %s)"
_MAX_EXPIRED_AT_ONCE = 100


class PostgresStore(PostgresReading):
    """A ledger in a schema of a PostgreSQL database."""

    #: Lines of sums that a process adds before it looks whether they should be gathered.
    gather_after = 1000
    _lines = 0

    def reserve(
        self, call: CallOrDraft, holds: Sequence[Hold], *, expires_at: datetime, owner: str, events: Sequence[Event] = ()
    ) -> Reserved | Refusal:
        """See `Store.reserve`."""
        check_asked(call, holds)
        call = call.record()
        document, wanted = rows.document(rows.call_document(call)), rows.document(rows.hold_documents(holds))
        answer = self._ask(_RESERVE, document, wanted, _int8(expires_at), rows.fit(owner), _events(events))
        if answer.outcome == "refused":
            return Refusal(holds[answer.place - 1], balances_of(answer)[0])
        self._wrote(1)
        _check(answer.outcome, call.id, conflict="reserved before for something else", tombstone="a void of this id came first")
        return Reserved(Applied(answer.outcome), tuple(balances_of(answer)))

    def post(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.post`."""
        check_spent(settlement)
        settled = settlement.record()
        document, amounts = rows.document(rows.settled_document(settled)), rows.document(dict(settled.amounts))
        answer = self._ask(_POST, rows.fit(call_id), document, amounts, _events(events))
        self._wrote(1)
        return _settled(answer, call_id)

    def void(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.void`."""
        document = rows.document({**rows.settled_document(settlement.record()), "cost_nanos": 0})
        return _settled(self._ask(_VOID, rows.fit(call_id), document, _events(events)), call_id)

    def extend(self, call_ids: Iterable[str], expires_at: datetime) -> int:
        """See `Store.extend`."""
        found = self._ask("SELECT extend(%s::text[], %s)", [rows.fit(call_id) for call_id in call_ids], _int8(expires_at))
        return int(found[0])

    def expire(self, now: datetime) -> tuple[CallRecord, ...]:
        """See `Store.expire`."""
        found: list[CallRecord] = []
        while True:
            some = self._calls("SELECT * FROM expire(%s, %s::integer)", _int8(now), _MAX_EXPIRED_AT_ONCE)
            found += some
            if len(some) < _MAX_EXPIRED_AT_ONCE:
                return tuple(found)

    def adjust(self, call_id: str, settlement: SettlementOrDraft, reason: str) -> Settled:
        """See `Store.adjust`."""
        check_spent(settlement)
        settled = settlement.record()
        document, amounts = rows.document(rows.settled_document(settled)), rows.document(dict(settled.amounts))
        return _settled(self._ask(_ADJUST, rows.fit(call_id), document, amounts, rows.fit(reason), new_id()), call_id)

    def announce(self, events: Sequence[Event]) -> int:
        """See `Store.announce`."""
        return int(self._ask("SELECT say(%s::jsonb)", _events(events))[0]) if events else 0

    # -- the breaker's state --------------------------------------------------------------------------------------

    def put_latch(self, latch: Latch, events: Sequence[Event] = ()) -> None:
        """See `Store.put_latch`."""
        self._ask("SELECT put_latch(%s::jsonb, %s::jsonb)", rows.document(rows.latch_document(latch)), _events(events))
        self._watch.refresh()

    def drop_latch(self, scope_kind: str, scope_id: str, events: Sequence[Event] = ()) -> bool:
        """See `Store.drop_latch`."""
        found = self._ask("SELECT drop_latch(%s, %s, %s::jsonb)", rows.fit(scope_kind), rows.fit(scope_id), _events(events))
        self._watch.refresh()
        return bool(found[0])

    def put_override(self, override: LimitOverride, events: Sequence[Event] = ()) -> None:
        """See `Store.put_override`."""
        check_amount(override.limit)
        document = rows.document(rows.override_document(override))
        self._ask("SELECT put_override(%s::jsonb, %s::jsonb)", document, _events(events))
        self._watch.refresh()

    def _ask(self, statement: str, *values: Any) -> Any:
        """The one row that a function answers with."""
        return self._connections.run(lambda link: link.execute(statement, values).fetchone())

    def _wrote(self, lines: int) -> None:
        """So many lines were added to the sums: now and then somebody makes one of many, after its verb and not within it."""
        self._lines += lines
        if self._lines >= self.gather_after:
            self._lines = 0
            with contextlib.suppress(StoreError):  # the verb is done; the next one gathers
                self._ask("SELECT gather_totals(%s::integer)", self.gather_after)


def _int8(at: datetime) -> Int8:
    return Int8(micros(at) or 0)


def _events(events: Sequence[Event]) -> str | None:
    return rows.document(rows.event_documents(events)) if events else None


def balances_of(answer: Any) -> list[Balance]:
    """The balances that a function answers with, in its order."""
    sums = zip(answer.posted or (), answer.pending or (), answer.assumed or (), answer.leased or (), strict=True)
    return [Balance(*four) for four in sums]


def _settled(answer: Any, call_id: str) -> Settled:
    _check(answer.outcome, call_id, conflict="posted before with other amounts")
    balances: Mapping[str, Balance] = dict(zip(answer.keys or (), balances_of(answer), strict=True))
    return Settled(Applied(answer.outcome), balances)


def _check(outcome: str, call_id: str, *, conflict: str = "", tombstone: str = "") -> None:
    """Raise what the function found wrong with the verb."""
    if outcome == "conflict":
        raise ConflictingEntryError(call_id, conflict)
    if outcome in {"voided", "tombstone"}:
        raise AlreadyVoidedError(call_id, tombstone if outcome == "tombstone" else "")
    if outcome == "posted":
        raise AlreadyPostedError(call_id)
    if outcome == "unknown":
        raise KeyError(call_id)
    if outcome == "pending":
        raise LookupError(call_id)
