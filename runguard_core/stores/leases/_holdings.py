"""`Holdings`: what this process has leased, what it has done with it, and what of that the book has to hear."""

from __future__ import annotations

from collections.abc import Callable

from runguard_core.ledger import Heard
from runguard_core.stores.leases._happened import Batch, Happened, changes
from runguard_core.stores.leases._slices import NEVER, Slice
from runguard_core.stores.leases._taking import Taking
from runguard_core.stores.leases._writing import MARK

_ALL = 2**62


class Holdings(Taking):
    """The flush's side of `Taking`."""

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
            if not self.waiting and not given and not renew and not self.is_unsure:
                return None
            if not self.waiting:
                end = self._write(MARK)
                if end is None:
                    return None
                self._cut_end = end
            self._cut, self.is_unsure = self._cut_all(given, reading), False
            return self._cut

    def has_unheard(self) -> bool:
        """Whether a batch was cut, and nobody knows whether the book has heard it."""
        return self._cut is not None

    def _cut_some(self, most: int) -> Batch:
        some = self.waiting[:most]
        for one, pending, posted in changes(some):
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

    def settled(self, batch: Batch, heard: Heard) -> None:
        """The book has heard a batch."""
        with self.lock:
            count = sum(1 for one in self.waiting[: len(batch.happened)] if one[0] <= batch.offset)
            self._cut_end = max(self._cut_end, batch.offset)
            del self.waiting[:count]
            while batch.owed:  # each once, whatever interrupts it
                one, debt = batch.owed.popitem()
                one.free += debt
                one.limit = NEVER
            for key, balance in heard.balances.items():
                known = self.slices.get(key)
                if known is not None:
                    own = heard.rests.get(key, 0)
                    if batch.is_whole:  # what is missing went to the account: somebody else has ended a call of ours
                        known.free -= max(0, batch.keep.get(key, 0) - own)
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
        """Let go of accounts that nobody has touched for so long, and that neither an open call nor the next flush knows."""
        with self.lock:
            if self._cut is not None:
                return
            idle = {one for one in self.slices.values() if one.free == 0 and reading - one.used_at > seconds}
            if not idle:
                return
            for it in self.open.values():
                idle.difference_update(it.touched)
            for _, it, *_ in self.waiting:
                idle.difference_update(it.touched)
            for one in idle:
                del self.slices[one.key]
            self._names.drop(idle)

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
