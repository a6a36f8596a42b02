"""The reading half of `Leased`: the book is told what has happened here, then asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from runguard_core.errors import StoreError
from runguard_core.ledger import (
    ALL_EVENTS,
    AccountRow,
    Balance,
    CallFilter,
    CallRecord,
    Discrepancy,
    Entry,
    Event,
    EventFilter,
    Latch,
    LeaseBackend,
    LimitOverride,
    Tell,
    Total,
    TotalKey,
)
from runguard_core.stores.leases._host import Host
from runguard_core.stores.leases._leases import Leases
from runguard_core.stores.leases._recovering import recover_the_dead

_log = logging.getLogger("runguard")
#: Readers look for dead owners at most so often.
_LOOK_SECONDS = 1.0


class ReadingThrough:
    """Reads of a backend behind leases. What this process has leased itself counts as available to it."""

    backend: LeaseBackend
    _leases: Leases
    _host: Host
    _looked_at = float("-inf")

    def _tell(self) -> None:
        """The book hears what has happened here, and now and then what the dead have left."""
        leases = self._leases
        leases.flush()
        reading = self._host.monotonic()
        if reading - self._looked_at > _LOOK_SECONDS:
            self._looked_at = reading
            try:
                recover_the_dead(leases)
            except StoreError as error:  # who only reads, from a full disk for example, reads what is there
                _log.warning("RunGuard could not close the books of processes that have died: %s", error)

    def _ours(self, key: str) -> int:
        holdings = self._leases.holdings
        one = None if holdings is None else holdings.slices.get(key)
        return 0 if one is None else one.leased

    def _without_ours(self, balances: Mapping[str, Balance]) -> dict[str, Balance]:
        return {key: self._foreign(key, balance) for key, balance in balances.items()}

    def _foreign(self, key: str, balance: Balance) -> Balance:
        ours = self._ours(key)
        return balance if not ours else replace(balance, leased=max(0, balance.leased - ours))

    def verify(self, tell: Tell | None = None) -> tuple[Discrepancy, ...]:
        """See `Store.verify`."""
        self._tell()
        return self.backend.verify(tell)

    def totals(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, Total]:
        """See `Store.totals`."""
        self._tell()
        return self.backend.totals(by, where)

    def costs(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, int]:
        """See `Store.costs`."""
        self._tell()
        return self.backend.costs(by, where)

    def sessions(self, where: CallFilter) -> tuple[tuple[str, str], ...]:
        """See `Store.sessions`."""
        self._tell()
        return self.backend.sessions(where)

    def balances(self, keys: Iterable[str]) -> dict[str, Balance]:
        """See `Store.balances`; `leased` is what other processes have."""
        with self._leases.flow:
            self._tell()
            return self._without_ours(self.backend.balances(keys))

    def accounts(self) -> tuple[AccountRow, ...]:
        """See `Store.accounts`; `leased` is what other processes have."""
        with self._leases.flow:
            self._tell()
            return tuple([replace(row, balance=self._foreign(row.account.key, row.balance)) for row in self.backend.accounts()])

    def call(self, call_id: str) -> CallRecord | None:
        """See `Store.call`."""
        self._tell()
        return self.backend.call(call_id)

    def calls(self, where: CallFilter) -> tuple[CallRecord, ...]:
        """See `Store.calls`."""
        self._tell()
        return self.backend.calls(where)

    def entries(self, call_id: str | None = None) -> tuple[Entry, ...]:
        """See `Store.entries`."""
        self._tell()
        return self.backend.entries(call_id)

    def announce(self, events: Sequence[Event]) -> int:
        """See `Store.announce`; behind what has happened before."""
        self._leases.flush()
        return self.backend.announce(events)

    def events(self, where: EventFilter = ALL_EVENTS) -> tuple[Event, ...]:
        """See `Store.events`."""
        self._tell()
        return self.backend.events(where)

    # -- the breaker's state: at once, and never behind a flush ------------------------------------------------------

    def latches(self) -> Mapping[tuple[str, str], Latch]:
        """See `Store.latches`."""
        return self.backend.latches()

    def put_latch(self, latch: Latch, events: Sequence[Event] = ()) -> None:
        """See `Store.put_latch`."""
        self.backend.put_latch(latch, events)

    def drop_latch(self, scope_kind: str, scope_id: str, events: Sequence[Event] = ()) -> bool:
        """See `Store.drop_latch`."""
        return self.backend.drop_latch(scope_kind, scope_id, events)

    def overrides(self) -> Mapping[str, LimitOverride]:
        """See `Store.overrides`."""
        return self.backend.overrides()

    def put_override(self, override: LimitOverride, events: Sequence[Event] = ()) -> None:
        """See `Store.put_override`."""
        self.backend.put_override(override, events)
