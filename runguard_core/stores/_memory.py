"""`MemoryStore`: the executable specification. A few dictionaries, one lock, every verb as the contract says it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError
from runguard_core.ledger import (
    Account,
    AccountRow,
    Applied,
    Balance,
    CallFilter,
    CallRecord,
    CallState,
    Discrepancy,
    Entry,
    EntryKind,
    Event,
    Hold,
    Latch,
    LimitOverride,
    Move,
    Refusal,
    Reserved,
    Settled,
    Settlement,
)
from runguard_core.stores._laws import assumed_settlement, discrepancies, matches


@dataclass(slots=True)
class _AccountState:
    account: Account
    posted: int = 0
    pending: int = 0
    assumed: int = 0
    limit: int | None = None

    def balance(self) -> Balance:
        return Balance(self.posted, self.pending, self.assumed)


@dataclass(slots=True)
class _CallState:
    call: CallRecord
    holds: tuple[Hold, ...]
    expires_at: datetime
    state: CallState = CallState.PENDING
    settlement: Settlement | None = None

    def record(self) -> CallRecord:
        if self.state is CallState.PENDING:
            return self.call
        return replace(self.call, state=self.state, settlement=self.settlement)


class MemoryStore:
    """Lives and dies with the process."""

    url = "memory://"

    def __init__(self) -> None:
        """An empty book."""
        self._lock = threading.RLock()
        self._accounts: dict[str, _AccountState] = {}
        self._calls: dict[str, _CallState] = {}
        self._pending: dict[str, datetime] = {}
        self._earliest: datetime | None = None  # no hold is due before it, so a reserve need not look at every hold
        self._tombstones: set[str] = set()
        self._lines: list[tuple[Any, ...]] = []
        self._events: list[Event] = []
        self._latches: dict[tuple[str, str], Latch] = {}
        self._overrides: dict[str, LimitOverride] = {}

    # -- verbs ----------------------------------------------------------------------------------------------------

    def reserve(
        self, call: CallRecord, holds: Sequence[Hold], *, expires_at: datetime, owner: str, events: Sequence[Event] = ()
    ) -> Reserved | Refusal:
        """See `Store.reserve`."""
        with self._lock:
            known = self._calls.get(call.id)
            if known is not None:
                return self._again(known, call, holds)
            if call.id in self._tombstones:
                raise AlreadyVoidedError(call.id, "a void of this id came first")
            if self._earliest is not None and call.started_at >= self._earliest:
                self._expire(call.started_at)
            touched = []
            for hold in holds:
                state = self._accounts.get(hold.account.key)
                if state is None:
                    state = self._accounts[hold.account.key] = _AccountState(hold.account)
                if hold.limit is not None and hold.amount > hold.limit - state.posted - state.pending:
                    state.limit = hold.shown_limit
                    return Refusal(hold, state.balance())
                touched.append(state)
            for state, hold in zip(touched, holds, strict=True):
                state.pending += hold.amount
                state.limit = hold.shown_limit
            self._calls[call.id] = _CallState(call, tuple(holds), expires_at)
            self._pending[call.id] = expires_at
            self._earliest = expires_at if self._earliest is None else min(self._earliest, expires_at)
            self._lines.append((call.id, EntryKind.PENDING, call.started_at, None, 0, ""))
            self._events.extend(events)
            return Reserved(Applied.CREATED, tuple([Balance(s.posted, s.pending, s.assumed) for s in touched]))

    def _again(self, known: _CallState, call: CallRecord, holds: Sequence[Hold]) -> Reserved:
        same = [(h.account.key, h.amount) for h in known.holds] == [(h.account.key, h.amount) for h in holds]
        if not same or not known.call.same_request(call):
            raise ConflictingEntryError(call.id, "reserved before for something else")
        if known.state is CallState.VOIDED:
            raise AlreadyVoidedError(call.id)
        return Reserved(Applied.EXISTS, tuple([self._accounts[h.account.key].balance() for h in holds]))

    def post(self, call_id: str, settlement: Settlement, events: Sequence[Event] = ()) -> Settled:
        """See `Store.post`."""
        with self._lock:
            known = self._calls[call_id] if call_id in self._calls else self._unknown(call_id)
            if known.state is CallState.VOIDED:
                raise AlreadyVoidedError(call_id)
            if known.state is CallState.POSTED:
                if known.settlement is None or not known.settlement.same_as(settlement):
                    raise ConflictingEntryError(call_id, "posted before with other amounts")
                return Settled(Applied.EXISTS, self._balances(known))
            late = known.state is CallState.ASSUMED
            self._settle(known, EntryKind.POST, CallState.POSTED, settlement, settlement.note or "")
            self._events.extend(events)
            return Settled(Applied.LATE if late else Applied.CREATED, self._balances(known))

    def _unknown(self, call_id: str) -> _CallState:
        if call_id in self._tombstones:
            raise AlreadyVoidedError(call_id)
        raise KeyError(call_id)

    def void(self, call_id: str, settlement: Settlement, events: Sequence[Event] = ()) -> Settled:
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
            nothing = replace(settlement, amounts={}, cost_nanos=0)
            self._settle(known, EntryKind.VOID, CallState.VOIDED, nothing, settlement.note or settlement.error or "")
            self._events.extend(events)
            return Settled(Applied.LATE if late else Applied.CREATED, self._balances(known))

    def extend(self, call_ids: Iterable[str], expires_at: datetime) -> int:
        """See `Store.extend`."""
        with self._lock:
            count = 0
            for call_id in call_ids:
                if call_id in self._pending:
                    count += 1
                    later = max(self._pending[call_id], expires_at)
                    self._pending[call_id] = self._calls[call_id].expires_at = later
            return count

    def expire(self, now: datetime) -> tuple[CallRecord, ...]:
        """See `Store.expire`."""
        with self._lock:
            return self._expire(now)

    def _expire(self, now: datetime) -> tuple[CallRecord, ...]:
        overdue = sorted((deadline, call_id) for call_id, deadline in self._pending.items() if deadline <= now)
        self._earliest = min((deadline for deadline in self._pending.values() if deadline > now), default=None)
        for _, call_id in overdue:
            known = self._calls[call_id]
            self._settle(known, EntryKind.EXPIRE, CallState.ASSUMED, assumed_settlement(known.call, known.holds, now), "")
        return tuple(self._calls[call_id].record() for _, call_id in overdue)

    def adjust(self, call_id: str, settlement: Settlement, reason: str) -> Settled:
        """See `Store.adjust`."""
        with self._lock:
            known = self._calls[call_id] if call_id in self._calls else self._unknown(call_id)
            if known.state is CallState.PENDING:
                raise LookupError(call_id)
            self._settle(known, EntryKind.ADJUST, CallState.POSTED, settlement, reason)
            return Settled(Applied.CREATED, self._balances(known))

    def _settle(self, known: _CallState, kind: EntryKind, state: CallState, settlement: Settlement, reason: str) -> None:
        """Move every account of the call from what the book said to what the settlement says."""
        before = known.settlement
        was_assumed = known.state is CallState.ASSUMED
        moves = []
        for hold in known.holds:
            key = hold.account.key
            pending = -hold.amount if known.state is CallState.PENDING else 0
            actual = settlement.amounts.get(key, 0)
            old = before.amounts.get(key, 0) if before is not None else 0
            assumed = (actual if state is CallState.ASSUMED else 0) - (old if was_assumed else 0)
            account = self._accounts[key]
            account.pending += pending
            account.posted += actual - old
            account.assumed += assumed
            moves.append((key, pending, actual - old, assumed))
        cost = (settlement.cost_nanos or 0) - ((before.cost_nanos or 0) if before is not None else 0)
        self._pending.pop(known.call.id, None)
        known.settlement, known.state = settlement, state
        self._lines.append((known.call.id, kind, settlement.at, moves, cost, reason))

    def _balances(self, known: _CallState) -> dict[str, Balance]:
        return {hold.account.key: self._accounts[hold.account.key].balance() for hold in known.holds}

    # -- reading --------------------------------------------------------------------------------------------------

    def verify(self) -> tuple[Discrepancy, ...]:
        """See `Store.verify`."""
        with self._lock:
            return tuple(discrepancies(self.accounts(), self.entries(), self.calls(CallFilter())))

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
            return tuple(self._entry(index, line) for index, line in enumerate(self._lines, 1) if call_id in {None, line[0]})

    def _entry(self, sequence: int, line: tuple[Any, ...]) -> Entry:
        call_id, kind, at, moves, cost, reason = line
        if moves is None:
            moves = [(hold.account.key, hold.amount, 0, 0) for hold in self._calls[call_id].holds]
        return Entry(sequence, call_id, kind, at, tuple([Move(*move) for move in moves]), cost, reason)

    def announce(self, events: Sequence[Event]) -> None:
        """See `Store.announce`."""
        with self._lock:
            self._events.extend(events)

    def events(self, *, session: str | None = None, since: datetime | None = None, limit: int | None = None) -> tuple[Event, ...]:
        """See `Store.events`."""
        with self._lock:
            found = [e for e in self._events if session in {None, e.session} and (since is None or e.at >= since)]
        return tuple(found[-limit:] if limit else found)

    # -- the breaker's state --------------------------------------------------------------------------------------

    def latches(self) -> Mapping[tuple[str, str], Latch]:
        """See `Store.latches`; the mapping is replaced, never changed."""
        return self._latches

    def put_latch(self, latch: Latch, events: Sequence[Event] = ()) -> None:
        """See `Store.put_latch`."""
        with self._lock:
            self._latches = {**self._latches, latch.scope: latch}
            self._events.extend(events)

    def drop_latch(self, scope_kind: str, scope_id: str, events: Sequence[Event] = ()) -> bool:
        """See `Store.drop_latch`."""
        with self._lock:
            there = (scope_kind, scope_id) in self._latches
            self._latches = {scope: latch for scope, latch in self._latches.items() if scope != (scope_kind, scope_id)}
            self._events.extend(events)
            return there

    def overrides(self) -> Mapping[str, LimitOverride]:
        """See `Store.overrides`; the mapping is replaced, never changed."""
        return self._overrides

    def put_override(self, override: LimitOverride, events: Sequence[Event] = ()) -> None:
        """See `Store.put_override`."""
        with self._lock:
            self._overrides = {**self._overrides, override.account_key: override}
            self._events.extend(events)

    def close(self) -> None:
        """Nothing to let go of."""
