"""`Leased`: a store whose calls cost microseconds, on top of one that grants leases."""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from runguard_core.errors import LedgerError, StoreError
from runguard_core.ledger import (
    Applied,
    CallOrDraft,
    CallRecord,
    Event,
    Hold,
    LeaseBackend,
    Refusal,
    Reserved,
    Settled,
    SettlementOrDraft,
)
from runguard_core.stores.leases._asking import ask
from runguard_core.stores.leases._holdings import Holdings
from runguard_core.stores.leases._host import Host
from runguard_core.stores.leases._keeping import Keeper
from runguard_core.stores.leases._leases import JOURNAL_BYTES, Leases
from runguard_core.stores.leases._reading_through import ReadingThrough
from runguard_core.stores.leases._recovering import recover_the_dead
from runguard_core.stores.leases._writing import POST, VOID

_log = logging.getLogger("runguard")
#: Leases begin with so many reserves within so many seconds; a script that makes fewer pays nothing for them.
LEASE_AFTER, WITHIN_SECONDS = 16, 10.0
#: After a failure to begin, calls stay plain for so long.
_AGAIN_SECONDS = 60.0


class Leased(ReadingThrough):
    """A `Store` on a `LeaseBackend`.

    It starts with plain verbs; with the first few calls in a short time it enlists, and from then on spends slices of the
    accounts in memory. What happens is in a journal before the caller goes on, and in the store a moment later.
    """

    def __init__(
        self,
        backend: LeaseBackend,
        folder: str,
        *,
        lease_after: int = LEASE_AFTER,
        host: Host | None = None,
        background: bool = True,
        journal_bytes: int = JOURNAL_BYTES,
    ) -> None:
        """Put it on top of a backend; makes nothing yet.

        Args:
            backend: closed with it.
            folder: where journals are kept, on a disk of this machine; made when it is needed, mode 0700.
            lease_after: how many reserves within ten seconds it takes to enlist; 0: none.
            host: a stand-in for this machine, for tests.
            background: whether a thread flushes; without one `tick` does.
            journal_bytes: size of the journal, all of it allocated at once.
        """
        self.backend, self.url = backend, backend.url
        self._host = host or Host()
        self._leases = Leases(backend, str(Path(folder).absolute()), self._host, journal_bytes=journal_bytes)
        self._lease_after, self._background = lease_after, background
        self._is_closed = False
        self._start_afresh()
        _every.add(self)

    def _start_afresh(self) -> None:
        """Plain, as a new process is."""
        self._leases.drop()
        self._keeper = Keeper(self._leases)
        self._let_go = weakref.finalize(self, self._keeper.let_go)
        self._let_go.atexit = False
        self._count, self._since, self._not_before = 0, float("-inf"), float("-inf")
        self._plain_until: dict[str, datetime] = {}

    # -- verbs ------------------------------------------------------------------------------------------------------

    def reserve(
        self, call: CallOrDraft, holds: Sequence[Hold], *, expires_at: datetime, owner: str, events: Sequence[Event] = ()
    ) -> Reserved | Refusal:
        """See `Store.reserve`."""
        holdings = self._leases.holdings
        if holdings is not None:
            taken = holdings.take(call, holds, expires_at, events)
            if taken is not None:
                if self._keeper.is_asleep:
                    self._keeper.wake()
                return taken
        holdings = self._ready_for(call)
        if holdings is not None and not holdings.knows(call.id):
            found = ask(self._leases, call, holds, expires_at, events)
            if found is not None:
                self._keeper.wake()
                return found
        return self._reserve_plainly(call, holds, expires_at, owner, events)

    def post(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.post`."""
        return self._end(POST, call_id, settlement, events)

    def void(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.void`."""
        return self._end(VOID, call_id, settlement, events)

    def _end(self, verb: int, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event]) -> Settled:
        holdings = self._leases.holdings
        if holdings is not None:
            ended = holdings.end(call_id, settlement, verb, events)
            if ended is not None:
                if self._keeper.is_asleep:
                    self._keeper.wake()
                return ended
        if holdings is None and self._leases.holdings is None and not self._leases.has_late:
            return self._said_plainly(call_id, self._say(verb)(call_id, settlement, events))
        came_at = self._host.monotonic()
        with self._leases.flow, self._leases.outages.since(came_at):
            self._leases.flush()
            holdings = self._leases.holdings
            again = None if holdings is None else holdings.end(call_id, settlement, verb, events)
            if again is not None:  # the journal had been full, or its door shut for a moment
                return again
            return self._said_plainly(call_id, self._say(verb)(call_id, settlement, events))

    def _say(self, verb: int) -> Callable[..., Settled]:
        return self.backend.post if verb == POST else self.backend.void

    def extend(self, call_ids: Iterable[str], expires_at: datetime) -> int:
        """See `Store.extend`."""
        given, holdings = list(call_ids), self._leases.holdings
        elsewhere = given if holdings is None else [one for one in given if not holdings.extend(one, expires_at)]
        count = len(given) - len(elsewhere)
        if elsewhere:
            count += self.backend.extend(elsewhere, expires_at)
            for call_id in elsewhere:
                if call_id in self._plain_until:
                    self._plain_until[call_id] = max(self._plain_until[call_id], expires_at)
        return count

    def expire(self, now: datetime) -> tuple[CallRecord, ...]:
        """See `Store.expire`; owners that have died are recovered, and their open calls are among those assumed."""
        with self._leases.flow:
            found = self._expire_own(now)
            recover_the_dead(self._leases)
            recovered, self._leases.recovered = self._leases.recovered, []  # by whatever asked first
            return found + tuple(recovered) + self.backend.expire(now)

    def adjust(self, call_id: str, settlement: SettlementOrDraft, reason: str) -> Settled:
        """See `Store.adjust`."""
        with self._leases.flow:
            self._leases.flush()
            return self._said_plainly(call_id, self.backend.adjust(call_id, settlement, reason))

    # -- plain and leased ---------------------------------------------------------------------------------------------

    def _ready_for(self, call: CallOrDraft) -> Holdings | None:
        """What is leased, once it is time for leases and what is overdue has been seen to; None while calls are plain."""
        came_at = self._host.monotonic()
        with self._leases.flow, self._leases.outages.since(came_at):
            holdings = self._leases.holdings
            if holdings is None and self._is_due():
                holdings = self._begin()
            if holdings is not None and holdings.is_overdue(call.started_at) and not holdings.knows(call.id):
                self._expire_own(call.started_at)
            return self._leases.holdings

    def _is_due(self) -> bool:
        reading = self._host.monotonic()
        if self._is_closed or reading < self._not_before:
            return False
        if reading - self._since > WITHIN_SECONDS:
            self._count, self._since = 0, reading
        self._count += 1
        return self._count > self._lease_after

    def _begin(self) -> Holdings | None:
        try:
            holdings = self._leases.begin()
        except (OSError, StoreError) as error:
            _log.warning("RunGuard goes on without leases, a transaction a call: %s", error)
            self._not_before = self._host.monotonic() + _AGAIN_SECONDS
            return None
        if self._plain_until:
            holdings.watch(min(self._plain_until.values()))
        if self._background:
            _living.add(self._keeper)
            self._keeper.start()
        return holdings

    def _reserve_plainly(
        self, call: CallOrDraft, holds: Sequence[Hold], expires_at: datetime, owner: str, events: Sequence[Event]
    ) -> Reserved | Refusal:
        is_leasing, came_at = self._leases.holdings is not None, self._host.monotonic()
        with self._leases.flow if is_leasing else nullcontext(), self._leases.outages.since(came_at):
            if is_leasing:
                keys = {hold.account.key for hold in holds}
                self._leases.flush(lambda one: one.key in keys)
            try:
                found = self.backend.reserve(call, holds, expires_at=expires_at, owner=owner, events=events)
            except LedgerError as error:
                self._leases.seen.add(error.call_id)
                raise
            if isinstance(found, Reserved):
                self._leases.seen.add(call.id)
                if found.applied is Applied.CREATED:
                    self._plain_until[call.id] = expires_at
                    if self._leases.holdings is not None:
                        self._leases.holdings.watch(expires_at)
                pairs = zip(holds, found.balances, strict=True)
                return replace(found, balances=tuple([self._foreign(hold.account.key, balance) for hold, balance in pairs]))
            is_ready = self._leases.holdings is not None or self._is_closed or not found.balance.leased
            if is_ready or self._begin() is None:
                return replace(found, balance=self._foreign(found.hold.account.key, found.balance))
        # others have leased what is missing: to ask them one must be among them
        return ask(self._leases, call, holds, expires_at, events) or found

    def _said_plainly(self, call_id: str, settled: Settled) -> Settled:
        """The book knows the call, and has told us its accounts' balances."""
        self._plain_until.pop(call_id, None)
        self._leases.seen.add(call_id)
        holdings = self._leases.holdings
        if holdings is not None:
            holdings.ended_elsewhere(call_id)
            holdings.learn(settled.balances)
        return replace(settled, balances=self._without_ours(settled.balances))

    def _expire_own(self, now: datetime) -> tuple[CallRecord, ...]:
        """Charge what this process has let pass its deadline, reserved plainly or not."""
        found: list[CallRecord] = []
        holdings = self._leases.holdings
        if holdings is not None:
            found += holdings.expire(now)
            while self._leases.flush() and holdings.has_overdue(now):  # the journal was full
                found += holdings.expire(now)
        if any(until <= now for until in self._plain_until.values()):
            found += self.backend.expire(now)
            self._plain_until = {call_id: until for call_id, until in self._plain_until.items() if until > now}
        if holdings is not None and self._plain_until:
            holdings.watch(min(self._plain_until.values()))
        return tuple(found)

    # -- life -------------------------------------------------------------------------------------------------------

    def tick(self) -> bool:
        """One round of what the thread does: flush, hand back what is idle or wanted, fetch ahead. False: the store was away."""
        return self._keeper.tick()

    def close(self) -> None:
        """Tell the book everything, hand all leases back, and close the backend. Calls in flight are assumed.

        Bounded by one flush and the backend's own waiting. While the store is away the journal stays, and the next process
        that opens the store reads it.
        """
        self._is_closed = True
        self._keeper.stop()
        _living.discard(self._keeper)
        self._leases.retire()
        self.backend.close()


_every: weakref.WeakSet[Leased] = weakref.WeakSet()
#: Keepers with something to hand back; a `Leased` that nobody holds any more may still have one.
_living: set[Keeper] = set()


@atexit.register
def _retire_all() -> None:
    for keeper in tuple(_living):
        keeper.stop()
        keeper.retire()
    _living.clear()


def _after_fork() -> None:
    _living.clear()
    for leased in tuple(_every):
        leased._start_afresh()  # noqa: SLF001  our own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
