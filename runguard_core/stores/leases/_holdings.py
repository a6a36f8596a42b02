"""`Holdings`: what this process has leased and what it has done with it, in memory and in its journal.

The order inside `take` and `end` is what makes a crash, or an interrupt between two statements, harmless: first less is free, then
the journal has it, then the list of verbs (from here on it has happened), then the caller is told. An interrupt in between leaves
less free than there is, never more; the next flush puts that right.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from runguard_core.ledger import (
    Applied,
    Balance,
    CallOrDraft,
    CallRecord,
    CallState,
    Event,
    Hold,
    LeaseVerb,
    Reserved,
    ReserveVerb,
    Settled,
    SettlementOrDraft,
    SettleVerb,
)
from runguard_core.stores._laws import assumed_settlement
from runguard_core.stores.leases._segments import Journal
from runguard_core.stores.leases._slices import NEVER, Slice
from runguard_core.stores.leases._writing import ASSUME, MARK, VOID, Names, record, reserve_text, settle_text

_CREATED = Applied.CREATED
_ALL = 2**62
#: So many verbs may wait for a flush; then whoever comes next flushes first.
MOST_WAITING = 8_192
_NO_DEADLINE = datetime.max.replace(tzinfo=UTC)


class Seen:
    """Ids that the book knows because they passed here: the latest, so many at least and twice as many at most."""

    __slots__ = ("before", "latest")
    _AT_LEAST = 16_384

    def __init__(self) -> None:
        self.latest: set[str] = set()
        self.before: set[str] = set()

    def add(self, call_id: str) -> None:
        """It passed."""
        self.latest.add(call_id)
        if len(self.latest) > self._AT_LEAST:
            self.before, self.latest = self.latest, set()

    def __contains__(self, call_id: str) -> bool:
        """Whether it has."""
        return call_id in self.latest or call_id in self.before


class Open:
    """A call in flight that leases have paid for; `ended` as soon as its end is being written."""

    __slots__ = ("amounts", "book_id", "call", "ended", "expires_at", "holds", "touched")

    def __init__(
        self, call: CallOrDraft, holds: Sequence[Hold], touched: tuple[Slice, ...], amounts: list[int], expires_at: datetime
    ) -> None:
        self.call, self.holds, self.touched, self.amounts, self.expires_at = call, holds, touched, amounts, expires_at
        self.book_id, self.ended = call.id, False


#: What has happened: the place behind its record; the call; how it ended (None: it began); POST, VOID or ASSUME; events.
Happened = tuple[int, Open, SettlementOrDraft | None, int, Sequence[Event]]


@dataclass(slots=True, eq=False)
class Batch:
    """What one settle tells the book.

    Attributes:
        happened: in order; offset: the place behind the last.
        keep: what we still claim, by account key; owed: what is below nothing until the book has heard of it.
        is_whole: nothing had been left out when it was cut; is_again: it has been said before, nobody knows with what success.
    """

    offset: int
    happened: list[Happened]
    keep: dict[str, int]
    owed: dict[Slice, int] = field(default_factory=dict)
    is_whole: bool = True
    is_again: bool = False

    def verbs(self) -> list[LeaseVerb]:
        """As the book hears them."""
        return [_verb(*one[1:]) for one in self.happened]


def _verb(it: Open, settlement: SettlementOrDraft | None, verb: int, events: Sequence[Event]) -> LeaseVerb:
    if settlement is None:
        return ReserveVerb(it.call, tuple(it.holds), it.expires_at, tuple(events))
    return SettleVerb(it.book_id, settlement, verb == VOID, verb == ASSUME, tuple(events))


class Holdings:
    """Of one owner. Its lock is held for microseconds only, never during I/O.

    Attributes:
        slices: by account key; open: calls in flight by id; waiting: what the book has not heard.
        is_closed: everything here has been handed on, and nothing more may happen here.
        last_at: when the latest call was admitted, by its caller's clock; None before the first.
    """

    def __init__(self, journal: Journal, words: memoryview, seen: Seen) -> None:
        """Nothing leased yet."""
        self.lock = threading.Lock()
        self.journal, self._words = journal, words
        self.slices: dict[str, Slice] = {}
        self.open: dict[str, Open] = {}
        self.waiting: list[Happened] = []
        self.is_closed = False
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
        call_id = call.id
        with self.lock:
            if (
                (self._words[0] != self._heard and not asked)
                or call.started_at >= self._earliest
                or self.knows(call_id)
                or not self.has_room()
            ):
                return None
            slices, touched = self.slices, []
            for hold in holds:
                one = slices.get(hold.account.key)
                if one is None or hold.shown_limit != one.shown:
                    return None
                limit = hold.limit
                if limit is not None and (hold.amount > one.free or limit < one.limit):
                    return None
                touched.append(one)
            return self._take(Open(call, holds, tuple(touched), [hold.amount for hold in holds], expires_at), events)

    def _take(self, it: Open, events: Sequence[Event]) -> Reserved | None:
        balances, call, names = [], it.call, self._names
        for one, amount in zip(it.touched, it.amounts, strict=True):
            one.free -= amount
        end = self._write(record(reserve_text(names, call, it.touched, it.amounts, it.expires_at, events), names))
        if end is None:
            for one, amount in zip(it.touched, it.amounts, strict=True):
                one.free += amount
            return None
        self.waiting.append((end, it, None, 0, events))
        self.open[call.id] = it
        for one, amount in zip(it.touched, it.amounts, strict=True):
            one.pending += amount
            balances.append(Balance(one.posted, one.pending, one.assumed, one.elsewhere))
        self._earliest = min(self._earliest, it.expires_at)
        self.last_at = call.started_at
        if names.fresh:
            names.keep()
        return Reserved(_CREATED, tuple(balances))

    def end(self, call_id: str, settlement: SettlementOrDraft, verb: int, events: Sequence[Event]) -> Settled | None:
        """Post or void a call that was paid for here; None when it is not open here, or the journal has no room."""
        with self.lock:
            it = self.open.get(call_id)
            if it is None or it.ended or self.is_closed:
                return None
            return self._end(it, settlement, verb, events)

    def _end(self, it: Open, settlement: SettlementOrDraft, verb: int, events: Sequence[Event]) -> Settled | None:
        names, balances = self._names, {}
        amounts: Mapping[str, int] = {} if verb == VOID else settlement.amounts
        it.ended, self._midway = True, it
        end = self._write(record(settle_text(names, verb, it.book_id, it.touched, settlement, events), names))
        if end is None:
            it.ended, self._midway = False, None
            return None
        self.waiting.append((end, it, settlement, verb, events))
        for one, held in zip(it.touched, it.amounts, strict=True):
            actual = amounts.get(one.key, 0)
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

    def wanted_back(self) -> Callable[[Slice], bool] | None:
        """Which slices others have asked for since the last time; None when nobody has."""
        if self._words[0] == self._heard:
            return None
        self._heard, before = self._words[0], self._heard_words
        now = self._heard_words = self._words.tolist()
        return lambda one: before[one.word] != now[one.word]

    def ask_back(self, one: Slice) -> None:
        """Ask every process of this host for what it has leased of an account and does not need at once."""
        words = self._words
        words[one.word] = (words[one.word] + 1) % 2**62
        words[0] = self._heard = (words[0] + 1) % 2**62

    # -- the flush --------------------------------------------------------------------------------------------------

    def cut(self, most: int, reading: float, give: Callable[[Slice], bool] | None, *, renew: bool) -> Batch | None:
        """What the book should hear now, at most so many verbs; None when there is nothing to say.

        What was cut before and has not been `settled` comes again, unchanged: nobody knows whether the book has heard it.

        Args:
            reading: the stopwatch, seconds.
            give: which slices to hand back as far as they are free; only when nothing is left waiting.
            renew: say something in any case.
        """
        with self.lock:
            if self._cut is not None:
                self._cut.is_again = True
                return self._cut
            if len(self.waiting) > most:
                self._cut = self._cut_some(most)
                return self._cut
            given = [] if give is None else [one for one in self.slices.values() if one.free > 0 and give(one)]
            if not self.waiting and not given and not renew:
                return None
            if not self.waiting:
                end = self._write(MARK)
                if end is None:
                    return None
                self._cut_end = end
            self._cut = self._cut_all(given, reading)
            return self._cut

    def _cut_some(self, most: int) -> Batch:
        some = self.waiting[:most]
        for one, pending, posted in _changes(some):
            one.cut_pending += pending
            one.cut_posted += posted
        return Batch(some[-1][0], some, dict.fromkeys(self.slices, _ALL), is_whole=False)

    def _cut_all(self, given: list[Slice], reading: float) -> Batch:
        happened = self.waiting[:]
        if happened:
            self._cut_end = happened[-1][0]
        self._heal(happened)
        for it in {one[1] for one in happened}:
            for one in it.touched:
                one.used_at = reading
        for one in given:
            one.free, one.limit = 0, NEVER
        batch = Batch(self._cut_end, happened, {})
        for one in self.slices.values():
            one.cut_pending, one.cut_posted = one.pending, one.posted
            if one.free < 0:
                batch.owed[one] = -one.free
            elif one.limit == NEVER:
                one.free = 0
            else:
                batch.keep[one.key] = one.free
        return batch

    def _heal(self, happened: list[Happened]) -> None:
        """Put right what an interrupt between two statements has left: the list of verbs says what has happened."""
        for _, it, settlement, _, _ in happened:
            if settlement is not None:
                self.open.pop(it.call.id, None)
                it.ended = True
                self._seen.add(it.call.id)
            elif not it.ended:
                self.open.setdefault(it.call.id, it)
        midway, self._midway = self._midway, None
        if midway is not None and self.open.get(midway.call.id) is midway:
            midway.ended = False

    def settled(self, batch: Batch, balances: Mapping[str, Balance]) -> None:
        """The book has heard a batch."""
        with self.lock:
            heard = sum(1 for one in self.waiting[: len(batch.happened)] if one[0] <= batch.offset)
            self._cut_end = max(self._cut_end, batch.offset)
            del self.waiting[:heard]
            while batch.owed:  # each once, whatever interrupts it
                one, debt = batch.owed.popitem()
                one.free += debt
                one.limit = NEVER
            for key, balance in balances.items():
                known = self.slices.get(key)
                if known is not None:
                    own = batch.keep.get(key, 0) if batch.is_whole else min(known.leased, balance.leased)
                    known.learn(balance, own)
            self._cut = None

    def begin_segment(self) -> bool:
        """Use the journal from its start again, if everything in it is in the book; whether it was."""
        with self.lock:
            if self.waiting or self._cut is not None:
                return False
            self._names.forget()
            self.journal.end = self._cut_end
            self.journal.begin_segment()
            self._brim = self.journal.brim()
            return True

    def shut(self, *, is_closed: bool) -> None:
        """Let nothing happen here for a while; who comes takes the slow path, and waits there."""
        with self.lock:
            self.is_closed = is_closed

    def forget_unused(self, reading: float, seconds: float) -> None:
        """Let go of accounts that nobody has touched for so long and that no open call knows."""
        with self.lock:
            if self.waiting:
                return
            known = {one for it in self.open.values() for one in it.touched}
            idle = [one for one in self.slices.values() if one.free == 0 and reading - one.used_at > seconds and one not in known]
            for one in idle:
                del self.slices[one.key]
            if idle:
                self._names.drop(set(idle))

    def is_idle(self) -> bool:
        """Whether there is nothing to tell and nothing that others could want back."""
        return not self.waiting and self._cut is None and not any(one.free > 0 for one in tuple(self.slices.values()))

    def close(self) -> list[Happened]:
        """Nothing more happens here; what the book may not have heard."""
        with self.lock:
            self.is_closed = True
            return self.waiting[:]

    def show(self, one: Slice, shown: int | None) -> None:
        """Readers are to see another limit."""
        with self.lock:
            if one.shown != shown:
                one.shown = shown
                self._names.drop({one})


def _changes(happened: list[Happened]) -> list[tuple[Slice, int, int]]:
    """What verbs do to pending and posted, account by account."""
    found = []
    for _, it, settlement, verb, _ in happened:
        for one, held in zip(it.touched, it.amounts, strict=True):
            if settlement is None:
                found.append((one, held, 0))
            else:
                found.append((one, -held, 0 if verb == VOID else settlement.amounts.get(one.key, 0)))
    return found


def _assumed(call: CallRecord, call_id: str, settlement: SettlementOrDraft) -> CallRecord:
    return replace(call, id=call_id, state=CallState.ASSUMED, settlement=settlement.record())
