"""`Leases`: one owner after the other, from its enlistment to its end, and everything about it that is not microseconds."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from runguard_core.errors import LeaseLostError, LedgerError
from runguard_core.ids import new_id
from runguard_core.ledger import CallRecord, Hold, LeaseBackend, Owner
from runguard_core.stores.leases._happened import Batch, Happened, Seen
from runguard_core.stores.leases._holdings import Holdings
from runguard_core.stores.leases._host import Host
from runguard_core.stores.leases._outages import Outages
from runguard_core.stores.leases._recovering import recover_the_dead
from runguard_core.stores.leases._segments import Journal
from runguard_core.stores.leases._settling import settle
from runguard_core.stores.leases._slices import NEVER, Slice
from runguard_core.stores.leases._writing import ASSUME, VOID

_log = logging.getLogger("runguard")
#: A settle tells at most so many verbs: whoever waits for the store meanwhile waits for these.
_MOST_AT_ONCE = 500
#: An account that is not used for so long is given back.
IDLE_SECONDS = 2.0
#: Other hosts give an owner up when they have not heard from it for so long.
DEADLINE = timedelta(seconds=60)
JOURNAL_BYTES = 8 << 20


class Leases:
    """What a store with leases does when memory is not enough. One thread at a time, by `flow`.

    Attributes:
        holdings: of the present owner; None while there is none.
        owner: its id; seen: calls that the book knows from here.
    """

    def __init__(self, backend: LeaseBackend, folder: str, host: Host, *, journal_bytes: int = JOURNAL_BYTES) -> None:
        """Enlists nobody yet."""
        self.backend, self.folder, self.host = backend, folder, host
        self.flow, self.outages = threading.RLock(), Outages(host.monotonic)
        self.holdings: Holdings | None = None
        self.owner, self.seen = "", Seen()
        self.recovered: list[CallRecord] = []  # assumed when somebody else's books were closed, until `expire` is asked
        self._journal_bytes = journal_bytes
        self._late: list[tuple[Journal, list[Happened]]] = []
        self._renewed_at = float("-inf")

    # -- life -------------------------------------------------------------------------------------------------------

    def begin(self) -> Holdings:
        """Enlist as a new owner. Those that died are recovered first.

        Raises:
            OSError: no journal can be made. StoreError.
        """
        with self.flow:
            if self.holdings is not None:
                return self.holdings
            recover_the_dead(self)
            self.host.sweep(self.folder, {owner.journal for owner in self.backend.owners()})
            words = self.host.open_words(str(Path(self.folder) / "recall"))
            owner = f"{os.getpid()}-{new_id()}"
            file = self.host.create_journal(str(Path(self.folder) / f"{owner}.journal"), self._journal_bytes)
            try:
                self.backend.enlist(self._as_owner(owner, file.path))
            except BaseException:
                file.remove()
                raise
            self.owner, self._renewed_at = owner, self.host.monotonic()
            self.holdings = Holdings(Journal(file), words, self.seen)
            return self.holdings

    def _as_owner(self, owner: str, journal: str) -> Owner:
        host = self.host
        return Owner(
            id=owner, host=host.place(self.folder), boot_id=host.boot_id(), journal=journal, applied=0,
            deadline=host.now() + DEADLINE,
        )  # fmt: skip

    def retire(self) -> None:
        """Write everything down, hand everything back; calls in flight are assumed. When the store is away somebody else will."""
        with self.flow:
            holdings = self.holdings
            if holdings is None:
                return
            holdings.close()
            try:
                self.flush()
                if self.holdings is holdings:
                    self.backend.recover(self.owner, holdings.journal.end, (), is_lost=False, now=self.host.now())
                    holdings.journal.file.remove()
            except Exception as error:  # noqa: BLE001  a program that ends must end; everything is in the journal
                _log.warning("RunGuard could not hand its leases back, the next process will: %s", error)
                holdings.journal.file.close()
            self.holdings = None

    def drop(self) -> None:
        """In a forked child: what the parent has is the parent's."""
        mine = [self.holdings.journal] if self.holdings is not None else []
        for journal in [*mine, *[journal for journal, _ in self._late]]:
            journal.file.close()
        self.flow, self.holdings, self._late, self.recovered = threading.RLock(), None, [], []

    # -- the flush --------------------------------------------------------------------------------------------------

    def flush(self, give: Callable[[Slice], bool] | None = None, *, renew: bool = False, at_once: bool = False) -> bool:
        """Tell the book what has happened; whether there was anything.

        Args:
            give: which slices to hand back, as far as they are free.
            renew: tell it in any case that this owner lives.
            at_once: so many verbs as one step tells, and no more; the answer is then whether there is more.

        Raises:
            StoreError: nothing is lost, the next flush says it again.
        """
        with self.flow:
            self._say_late()
            said = has_more = False
            while (holdings := self.holdings) is not None:
                batch = holdings.cut(_MOST_AT_ONCE, self.host.monotonic(), give, renew=renew)
                if batch is None:
                    break
                said = True
                has_more = self._settle(holdings, batch) and (batch.is_again or not batch.is_whole)
                if at_once or not has_more:
                    break
            if holdings is not None and holdings.journal.is_half_full:
                self._begin_segment(holdings)
            return has_more if at_once else said

    def _settle(self, holdings: Holdings, batch: Batch) -> bool:
        try:
            heard = settle(self.backend, self.owner, batch, self.host.now() + DEADLINE)
        except LeaseLostError:
            self.lose()
            return False
        self._renewed_at = self.host.monotonic()
        holdings.settled(batch, heard)
        return True

    def _begin_segment(self, holdings: Holdings) -> None:
        """While calls keep coming the last few verbs are told with the door shut."""
        if holdings.begin_segment():
            return
        holdings.shut(is_closed=True)
        try:
            while (batch := holdings.cut(_MOST_AT_ONCE, self.host.monotonic(), None, renew=False)) is not None:
                if not self._settle(holdings, batch):
                    return
            holdings.begin_segment()
        finally:
            holdings.shut(is_closed=self.holdings is not holdings)

    def is_renewal_due(self) -> bool:
        """Whether other hosts would soon give this owner up."""
        return self.host.monotonic() - self._renewed_at > DEADLINE.total_seconds() / 3

    # -- when others have given this owner up -------------------------------------------------------------------------

    def lose(self) -> None:
        """Somebody has closed this owner's books and charged its leases: keep the truth, and say it as corrections."""
        with self.flow:
            holdings, self.holdings = self.holdings, None
            if holdings is None:
                return
            waiting = holdings.close()
            _log.warning("RunGuard: owner %s was given up by others, its leases were charged; it begins anew", self.owner)
            self._late.append((holdings.journal, list(waiting)))
            self._say_late()

    @property
    def has_late(self) -> bool:
        """Whether a lost owner has something that the book has not heard yet."""
        return bool(self._late)

    def _say_late(self) -> None:
        """Enter what a lost owner had not told yet, by plain verbs: each may be said twice."""
        while self._late:
            journal, waiting = self._late[0]
            while waiting:
                with contextlib.suppress(LedgerError, LookupError):
                    self._say_plainly(waiting[0])
                waiting.pop(0)
            journal.file.remove()
            self._late.pop(0)

    def _say_plainly(self, happened: Happened) -> None:
        _, it, settlement, verb, events = happened
        if settlement is None:
            observed = [Hold(hold.account, hold.amount, None, hold.shown_limit) for hold in it.holds]
            call = it.call if it.book_id == it.call.id else replace(it.call.record(), id=it.book_id)
            self.backend.reserve(call, observed, expires_at=it.expires_at, owner=self.owner, events=events)
        elif verb == VOID:
            self.backend.void(it.book_id, settlement, events)
        elif verb != ASSUME:
            self.backend.post(it.book_id, settlement, events)


def everything(one: Slice) -> bool:
    """Hand back whatever is free."""
    return one.limit != NEVER
