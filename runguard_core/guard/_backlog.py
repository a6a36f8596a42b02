"""What could not be written while the store was away: kept, and written as soon as it is back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from runguard_core.errors import StoreError
from runguard_core.ledger import CallOrDraft, Hold, SettlementOrDraft, Store

_log = logging.getLogger("runguard")
_MAX_WAITING = 100_000

Write = Callable[[Store], object]


class Backlog:
    """Writes in the order in which they failed. Each is idempotent, so trying again is safe.

    Attributes:
        waiting: what and how, oldest first.
        unverified_nanos: quotes of calls that were admitted without asking the store.
    """

    def __init__(self) -> None:
        """Empty."""
        self.waiting: list[tuple[str, Write]] = []
        self._lock = threading.Lock()
        self.unverified_nanos = 0

    def add(self, what: str, write: Write) -> None:
        """Keep a write for later."""
        with self._lock:
            if len(self.waiting) < _MAX_WAITING:
                self.waiting.append((what, write))
            else:
                _log.error("RunGuard's backlog is full (%d writes): %s is lost to the ledger", _MAX_WAITING, what)

    def add_unverified(self, call: CallOrDraft, holds: tuple[Hold, ...], expires_at: datetime, owner: str) -> None:
        """A call admitted without asking: its hold is written later and refuses nothing."""
        observed = tuple(Hold(hold.account, hold.amount, None, hold.shown_limit) for hold in holds)
        with self._lock:
            self.unverified_nanos += call.quote_nanos or 0
        self.add(f"reserve {call.id}", lambda store: store.reserve(call, observed, expires_at=expires_at, owner=owner))

    def add_settlement(self, call_id: str, settlement: SettlementOrDraft, verb: str) -> None:
        """A post or void that did not reach the store."""
        self.add(f"{verb} {call_id}", lambda store: getattr(store, verb)(call_id, settlement))

    def flush(self, store: Store) -> int:
        """Write what waits, oldest first, until the store fails again; how many were written."""
        written = 0
        with self._lock:
            while self.waiting:
                what, write = self.waiting[0]
                try:
                    write(store)
                except StoreError:
                    break
                except Exception as error:  # noqa: BLE001  one write that never succeeds must not hold up the others
                    _log.warning("RunGuard dropped a delayed write (%s): %s", what, error)
                self.waiting.pop(0)
                written += 1
            if not self.waiting:
                self.unverified_nanos = 0
        return written
