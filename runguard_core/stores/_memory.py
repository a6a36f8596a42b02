"""`MemoryStore`: the executable specification. A few dictionaries, one lock, every verb as the contract says it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError
from runguard_core.ledger import (
    ALL_EVENTS,
    AccountRow,
    Applied,
    Balance,
    CallFilter,
    CallOrDraft,
    CallRecord,
    CallState,
    Discrepancy,
    Entry,
    EntryKind,
    Event,
    EventFilter,
    Hold,
    Latch,
    LimitOverride,
    Refusal,
    Reserved,
    Settled,
    SettlementOrDraft,
    Tell,
)
from runguard_core.money import check_amount
from runguard_core.stores._laws import assumed_settlement, check_asked, check_spent, discrepancies, matches
from runguard_core.stores._memory_keeping import KeepsLess
from runguard_core.stores._memory_rows import KeptAccount, KeptCall, Line, call_of, entry_of

_PENDING, _POSTED, _VOIDED, _ASSUMED = CallState.PENDING, CallState.POSTED, CallState.VOIDED, CallState.ASSUMED
_CREATED, _POST = Applied.CREATED, EntryKind.POST


class MemoryStore(KeepsLess):
    """Lives and dies with the process."""

    url = "memory://"

    def __init__(self) -> None:
        """An empty book."""
        self._lock = threading.RLock()
        self._accounts: dict[str, KeptAccount] = {}
        self._calls: dict[str, KeptCall] = {}
        self._pending: dict[str, KeptCall] = {}
        self._earliest: datetime | None = None  # no hold is due before it, so a reserve need not look at every hold
        self._tombstones: set[str] = set()
        self._lines: list[Line | KeptCall | None] = []  # None: dropped
        self._events: dict[str, Event] = {}
        self._latches: dict[tuple[str, str], Latch] = {}
        self._overrides: dict[str, LimitOverride] = {}

    # -- verbs ----------------------------------------------------------------------------------------------------

    def reserve(
        self, call: CallOrDraft, holds: Sequence[Hold], *, expires_at: datetime, owner: str, events: Sequence[Event] = ()
    ) -> Reserved | Refusal:
        """See `Store.reserve`."""
        check_asked(call, holds)
        call_id = call.id
        with self._lock:
            if call_id in self._calls:
                return self._again(self._calls[call_id], call, holds)
            if call_id in self._tombstones:
                raise AlreadyVoidedError(call_id, "a void of this id came first")
            if self._earliest is not None and call.started_at >= self._earliest:
                self._expire(call.started_at)
            touched = []
            for hold in holds:
                state = self._accounts.get(hold.account.key)
                if state is None:
                    state = self._accounts[hold.account.key] = KeptAccount(hold.account)
                if hold.limit is not None and hold.amount > hold.limit - state.posted - state.pending:
                    state.limit = hold.shown_limit
                    return Refusal(hold, state.balance())
                touched.append((state, hold))
            balances = []
            for state, hold in touched:
                state.pending += hold.amount
                state.limit = hold.shown_limit
                balances.append(Balance(state.posted, state.pending, state.assumed))
            known = self._calls[call_id] = self._pending[call_id] = KeptCall(call, tuple(holds), expires_at)
            if self._earliest is None or expires_at < self._earliest:
                self._earliest = expires_at
            self._lines.append(known)
            if events:
                self._say(events)
            return Reserved(_CREATED, tuple(balances))

    def _again(self, known: KeptCall, call: CallOrDraft, holds: Sequence[Hold]) -> Reserved:
        same = [(h.account.key, h.amount) for h in known.holds] == [(h.account.key, h.amount) for h in holds]
        if not same or not known.call.record().same_request(call.record()):
            raise ConflictingEntryError(call.id, "reserved before for something else")
        if known.state is CallState.VOIDED:
            raise AlreadyVoidedError(call.id)
        return Reserved(Applied.EXISTS, tuple([self._accounts[h.account.key].balance() for h in holds]))

    def post(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.post`."""
        check_spent(settlement)
        with self._lock:
            known = self._calls[call_id] if call_id in self._calls else self._unknown(call_id)
            was = known.state
            if was is _VOIDED:
                raise AlreadyVoidedError(call_id)
            if was is _POSTED:
                if known.settlement is None or not known.settlement.record().same_as(settlement.record()):
                    raise ConflictingEntryError(call_id, "posted before with other amounts")
                return Settled(Applied.EXISTS, self._balances(known))
            balances = self._settle(known, _POST, _POSTED, settlement, settlement.note or "")
            if events:
                self._say(events)
            return Settled(Applied.LATE if was is _ASSUMED else _CREATED, balances)

    def _unknown(self, call_id: str) -> KeptCall:
        if call_id in self._tombstones:
            raise AlreadyVoidedError(call_id)
        raise KeyError(call_id)

    def void(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.void`."""
        with self._lock:
            known = self._calls.get(call_id)
            if known is None:
                applied = Applied.EXISTS if call_id in self._tombstones else Applied.CREATED
                self._tombstones.add(call_id)
                return Settled(applied, {})
            if known.state is CallState.POSTED:
                raise AlreadyPostedError(call_id)
            if known.state is CallState.VOIDED:
                return Settled(Applied.EXISTS, self._balances(known))
            late = known.state is CallState.ASSUMED
            nothing = replace(settlement.record(), amounts={}, cost_nanos=0)
            balances = self._settle(known, EntryKind.VOID, CallState.VOIDED, nothing, nothing.note or nothing.error or "")
            self._say(events)
            return Settled(Applied.LATE if late else Applied.CREATED, balances)

    def extend(self, call_ids: Iterable[str], expires_at: datetime) -> int:
        """See `Store.extend`."""
        with self._lock:
            count = 0
            for call_id in call_ids:
                known = self._pending.get(call_id)
                if known is not None:
                    count += 1
                    known.expires_at = max(known.expires_at, expires_at)
            return count

    def expire(self, now: datetime) -> tuple[CallRecord, ...]:
        """See `Store.expire`."""
        with self._lock:
            return self._expire(now)

    def _expire(self, now: datetime) -> tuple[CallRecord, ...]:
        overdue = sorted((known.expires_at, call_id) for call_id, known in self._pending.items() if known.expires_at <= now)
        self._earliest = min((known.expires_at for known in self._pending.values() if known.expires_at > now), default=None)
        for _, call_id in overdue:
            known = self._calls[call_id]
            self._settle(
                known, EntryKind.EXPIRE, CallState.ASSUMED, assumed_settlement(known.call.record(), known.holds, now), ""
            )
        return tuple(self._calls[call_id].record() for _, call_id in overdue)

    def adjust(self, call_id: str, settlement: SettlementOrDraft, reason: str) -> Settled:
        """See `Store.adjust`."""
        check_spent(settlement)
        with self._lock:
            known = self._calls[call_id] if call_id in self._calls else self._unknown(call_id)
            if known.state is CallState.PENDING:
                raise LookupError(call_id)
            return Settled(Applied.CREATED, self._settle(known, EntryKind.ADJUST, CallState.POSTED, settlement, reason))

    def _settle(
        self, known: KeptCall, kind: EntryKind, state: CallState, settlement: SettlementOrDraft, reason: str
    ) -> dict[str, Balance]:
        """Move every account of the call from what the book said to what the settlement says; the balances then.

        First more is spent, then the call is closed, then its hold is freed: an interrupt in between counts too much, never less.
        """
        before, was, amounts, balances = known.settlement, known.state, settlement.amounts, {}
        for hold in known.holds:
            key = hold.account.key
            account, actual = self._accounts[key], amounts.get(key, 0)
            old = before.amounts.get(key, 0) if before is not None else 0
            account.posted += actual - old
            if state is _ASSUMED:
                account.assumed += actual
            if was is _ASSUMED:
                account.assumed -= old
        known.settlement, known.state = settlement, state
        self._pending.pop(known.call.id, None)
        self._lines.append((known, kind, was, before, settlement, reason))
        for hold in known.holds:
            account = self._accounts[hold.account.key]
            if was is _PENDING:
                account.pending -= hold.amount
            balances[hold.account.key] = Balance(account.posted, account.pending, account.assumed)
        return balances

    def _balances(self, known: KeptCall) -> dict[str, Balance]:
        return {hold.account.key: self._accounts[hold.account.key].balance() for hold in known.holds}

    # -- reading --------------------------------------------------------------------------------------------------

    def verify(self, tell: Tell | None = None) -> tuple[Discrepancy, ...]:
        """See `Store.verify`; soon done, so nothing is told."""
        with self._lock:
            return tuple(discrepancies(self.accounts(), (*self.entries(), *self.carried_entries()), self.calls(CallFilter())))

    def balances(self, keys: Iterable[str]) -> dict[str, Balance]:
        """See `Store.balances`."""
        with self._lock:
            return {k: self._accounts[k].balance() if k in self._accounts else Balance() for k in keys}

    def accounts(self) -> tuple[AccountRow, ...]:
        """See `Store.accounts`."""
        with self._lock:
            rows = [AccountRow(state.account, state.balance(), state.limit) for state in self._accounts.values()]
        return tuple(sorted(rows, key=lambda row: (row.account.title, row.account.key)))

    def call(self, call_id: str) -> CallRecord | None:
        """See `Store.call`."""
        with self._lock:
            known = self._calls.get(call_id)
            return known.record() if known is not None else None

    def calls(self, where: CallFilter) -> tuple[CallRecord, ...]:
        """See `Store.calls`."""
        with self._lock:
            rows = [known.record() for known in self._calls.values() if matches(known.call, known.state, where)]
        rows.sort(key=lambda call: (call.started_at, call.id))
        return tuple(rows[-where.limit :] if where.limit else rows)

    def entries(self, call_id: str | None = None) -> tuple[Entry, ...]:
        """See `Store.entries`."""
        with self._lock:
            lines = [(at, line) for at, line in enumerate(self._lines, 1) if line is not None]
            return tuple([entry_of(at, line) for at, line in lines if call_id in {None, call_of(line).call.id}])

    def announce(self, events: Sequence[Event]) -> int:
        """See `Store.announce`."""
        with self._lock:
            return self._say(events)

    def _say(self, events: Sequence[Event]) -> int:
        before = len(self._events)
        for event in events:
            self._events.setdefault(event.id, event)
        return len(self._events) - before

    def events(self, where: EventFilter = ALL_EVENTS) -> tuple[Event, ...]:
        """See `Store.events`."""
        with self._lock:
            found = [event for event in self._events.values() if where.allows(event)]
        return tuple(found[-where.limit :] if where.limit else found)

    # -- the breaker's state --------------------------------------------------------------------------------------

    def latches(self) -> Mapping[tuple[str, str], Latch]:
        """See `Store.latches`; the mapping is replaced, never changed."""
        return self._latches

    def put_latch(self, latch: Latch, events: Sequence[Event] = ()) -> None:
        """See `Store.put_latch`."""
        with self._lock:
            known = self._latches.get(latch.scope)
            if known is None or not known.outranks(latch):
                self._latches = {**self._latches, latch.scope: latch}
            self._say(events)

    def drop_latch(self, scope_kind: str, scope_id: str, events: Sequence[Event] = ()) -> bool:
        """See `Store.drop_latch`."""
        with self._lock:
            there = (scope_kind, scope_id) in self._latches
            self._latches = {scope: latch for scope, latch in self._latches.items() if scope != (scope_kind, scope_id)}
            self._say(events)
            return there

    def overrides(self) -> Mapping[str, LimitOverride]:
        """See `Store.overrides`; the mapping is replaced, never changed."""
        return self._overrides

    def put_override(self, override: LimitOverride, events: Sequence[Event] = ()) -> None:
        """See `Store.put_override`."""
        check_amount(override.limit)
        with self._lock:
            self._overrides = {**self._overrides, override.account_key: override}
            self._say(events)

    def close(self) -> None:
        """Nothing to let go of."""
