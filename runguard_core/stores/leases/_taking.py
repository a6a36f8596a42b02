"""`Taking`: the hot path. What this process has leased is spent in memory, and every step is in its journal.

The order inside `take` and `end` is what makes a crash, or an interrupt between two statements, harmless: first less is free,
then the journal has it, then the list of verbs (from here on it has happened), then the caller is told. An interrupt in between
leaves less free than there is, never more; the next flush puts that right.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from runguard_core.ledger import (
    Applied,
    Balance,
    CallOrDraft,
    CallRecord,
    CallState,
    Event,
    Hold,
    Reserved,
    Settled,
    SettlementOrDraft,
)
from runguard_core.money import MAX_AMOUNT
from runguard_core.stores._laws import assumed_settlement, check_spent
from runguard_core.stores.leases._happened import Batch, Happened, Open, Seen
from runguard_core.stores.leases._segments import Journal
from runguard_core.stores.leases._slices import Slice
from runguard_core.stores.leases._writing import ASSUME, VOID, Names, record, reserve_text, settle_text

_CREATED = Applied.CREATED
#: So many verbs may wait for a flush; then whoever comes next flushes first.
MOST_WAITING = 8_192
#: What others have asked for is not taken away from them again for so long.
SCARCE_SECONDS = 1.0
_NO_DEADLINE = datetime.max.replace(tzinfo=UTC)


class Taking:
    """Of one owner. Its lock is held for microseconds only, never during I/O.

    Attributes:
        slices: by account key; open: calls in flight by id; waiting: what the book has not heard.
        is_closed: everything here has been handed on, and nothing more may happen here.
        is_unsure: a grant's answer was lost. We may have leased more than we know; the next settle hands it back.
        last_at: when the latest call was admitted, by its caller's clock; None before the first.
    """

    def __init__(self, journal: Journal, words: memoryview, seen: Seen) -> None:
        """Nothing leased yet."""
        self.lock = threading.Lock()
        self.journal, self._words = journal, words
        self.slices: dict[str, Slice] = {}
        self.open: dict[str, Open] = {}
        self.waiting: list[Happened] = []
        self.is_closed = self.is_unsure = False
        self.last_at: datetime | None = None
        self._cut_end = journal.end
        self._names = Names()
        self._brim = journal.brim()
        self._earliest = _NO_DEADLINE
        self._seen = seen
        self._midway: Open | None = None
        self._cut: Batch | None = None
        self._heard, self._heard_words = words[0], words.tolist()

    # -- the hot path -----------------------------------------------------------------------------------------------

    def take(
        self, call: CallOrDraft, holds: Sequence[Hold], expires_at: datetime, events: Sequence[Event], *, asked: bool = False
    ) -> Reserved | None:
        """Pay for a call with what is leased; None when it takes more than that: the slow path knows why.

        Args:
            asked: what others want back has been seen to.
        """
        call_id, seen = call.id, self._seen
        with self.lock:
            waiting = self.waiting
            if (
                (self._words[0] != self._heard and not asked)
                or call.started_at >= self._earliest
                or call_id in self.open
                or call_id in seen.latest
                or call_id in seen.before
                or (waiting[-1][0] if waiting else self._cut_end) >= self._brim
                or len(waiting) >= MOST_WAITING
                or self.is_closed
            ):
                return None
            quote = call.quote_nanos
            if quote is not None and (type(quote) is not int or not 0 <= quote <= MAX_AMOUNT):
                return None
            slices, touched, amounts = self.slices, [], []
            for hold in holds:
                one = slices.get(hold.account.key)
                if one is None or hold.shown_limit != one.shown:
                    return None
                limit, amount = hold.limit, hold.amount
                if type(amount) is not int or not 0 <= amount <= MAX_AMOUNT:
                    return None
                if limit is not None and (amount > one.free or limit < one.limit):
                    return None
                touched.append(one)
                amounts.append(amount)
            return self._take(Open(call, holds, tuple(touched), amounts, expires_at), events)

    def _take(self, it: Open, events: Sequence[Event]) -> Reserved | None:
        balances, call, names = [], it.call, self._names
        for one, amount in zip(it.touched, it.amounts, strict=True):
            one.free -= amount
            one.pending += amount
            balances.append(Balance(one.posted, one.pending, one.assumed, one.elsewhere))
        end = self._write(record(reserve_text(names, call, it.touched, it.amounts, it.expires_at, events), names))
        if end is None:
            for one, amount in zip(it.touched, it.amounts, strict=True):
                one.free += amount
                one.pending -= amount
            return None
        self.waiting.append((end, it, None, 0, events))
        self.open[call.id] = it
        self._earliest = min(self._earliest, it.expires_at)
        self.last_at = call.started_at
        if names.fresh:
            names.keep()
        return Reserved(_CREATED, tuple(balances))

    def ended_elsewhere(self, call_id: str) -> None:
        """The book was told the end of a call directly; the lease gets nothing back."""
        with self.lock:
            it = self.open.pop(call_id, None)
            for one, held in () if it is None else zip(it.touched, it.amounts, strict=True):
                one.pending -= held

    def end(self, call_id: str, settlement: SettlementOrDraft, verb: int, events: Sequence[Event]) -> Settled | None:
        """Post or void a call that was paid for here; None when it is not open here, or the journal has no room.

        Raises:
            InvalidAmountError: an amount is none.
        """
        with self.lock:
            it = self.open.get(call_id)
            if it is None or it.ended or self.is_closed:
                if verb != VOID:
                    check_spent(settlement)
                return None
            return self._end(it, settlement, verb, events)

    def _end(self, it: Open, settlement: SettlementOrDraft, verb: int, events: Sequence[Event]) -> Settled | None:
        names, balances, touched = self._names, {}, it.touched
        if verb == VOID:
            actuals = [0] * len(touched)
        else:
            check_spent(settlement)
            amounts = settlement.amounts
            actuals = [amounts.get(one.key, 0) for one in touched]
        it.ended, self._midway = True, it
        end = self._write(record(settle_text(names, verb, it.book_id, touched, actuals, settlement, events), names))
        if end is None:
            it.ended, self._midway = False, None
            return None
        self.waiting.append((end, it, settlement, verb, events))
        for one, held, actual in zip(touched, it.amounts, actuals, strict=True):
            one.free += held - actual
            one.pending -= held
            one.posted += actual
            if verb == ASSUME:
                one.assumed += actual
            balances[one.key] = Balance(one.posted, one.pending, one.assumed, one.elsewhere)
        self.open.pop(it.call.id, None)
        self._midway = None
        self._seen.add(it.call.id)
        if names.fresh:
            names.keep()
        return Settled(_CREATED, balances)

    def _write(self, payload: bytes) -> int | None:
        """Put a record behind the last thing that has happened, whatever an interrupted one has left there."""
        journal = self.journal
        journal.end = self.waiting[-1][0] if self.waiting else self._cut_end
        end = journal.write(payload)
        if end is None:
            self._names.fresh = []
        return end

    def has_room(self) -> bool:
        """Whether another call may begin before a flush."""
        waiting = self.waiting
        end = waiting[-1][0] if waiting else self._cut_end
        return end < self._brim and len(waiting) < MOST_WAITING and not self.is_closed

    # -- what is known ----------------------------------------------------------------------------------------------

    def knows(self, call_id: str) -> bool:
        """Whether a call of that id is in flight here, or has ended here not long ago."""
        return call_id in self.open or call_id in self._seen

    def extend(self, call_id: str, expires_at: datetime) -> bool:
        """Move a deadline forward; whether the call is open here."""
        with self.lock:
            it = self.open.get(call_id)
            if it is None:
                return False
            it.expires_at = max(it.expires_at, expires_at)
            return True

    def is_overdue(self, now: datetime) -> bool:
        """Whether a call may have let its deadline pass."""
        return now >= self._earliest

    def has_overdue(self, now: datetime) -> bool:
        """Whether one has."""
        with self.lock:
            return any(it.expires_at <= now and not it.ended for it in self.open.values())

    def watch(self, deadline: datetime) -> None:
        """A call that is not paid for here has this deadline: the first reserve after it must look."""
        with self.lock:
            self._earliest = min(self._earliest, deadline)

    def learn(self, balances: Mapping[str, Balance]) -> None:
        """What the book says of accounts after a plain verb."""
        with self.lock:
            for key, balance in balances.items():
                one = self.slices.get(key)
                if one is not None:
                    one.learn(balance, one.leased)

    def expire(self, now: datetime) -> list[CallRecord]:
        """Charge own calls past their deadline at their quotes, as ASSUMED; by deadline and id."""
        found = []
        with self.lock:
            overdue = sorted([(it.expires_at, id_, it) for id_, it in self.open.items() if it.expires_at <= now and not it.ended])
            for _, call_id, it in overdue:
                call = it.call.record()
                settlement = assumed_settlement(call, it.holds, now)
                if self._end(it, settlement, ASSUME, ()) is None:
                    break
                found.append(_assumed(call, call_id, settlement))
            self._earliest = min([it.expires_at for it in self.open.values()], default=_NO_DEADLINE)
        return found

    def wanted_back(self, reading: float) -> Callable[[Slice], bool] | None:
        """Which slices others have asked for since the last time; None when nobody has. No more of them is taken than calls need.

        Args:
            reading: the stopwatch, seconds.
        """
        if self._words[0] == self._heard:
            return None
        self._heard, before = self._words[0], self._heard_words
        now = self._heard_words = self._words.tolist()
        for one in tuple(self.slices.values()):
            if before[one.word] != now[one.word]:
                one.scarce_until = reading + SCARCE_SECONDS
        return lambda one: before[one.word] != now[one.word]

    def ask_back(self, one: Slice) -> None:
        """Ask every process of this host for what it has leased of an account and does not need at once."""
        words = self._words
        words[one.word] = (words[one.word] + 1) % 2**62
        words[0] = self._heard = (words[0] + 1) % 2**62


def _assumed(call: CallRecord, call_id: str, settlement: SettlementOrDraft) -> CallRecord:
    return replace(call, id=call_id, state=CallState.ASSUMED, settlement=settlement.record())
