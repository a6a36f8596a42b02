"""`Keeper`: the thread that flushes, hands back what is idle, and fetches ahead. Asleep while there is nothing to do."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from runguard_core.errors import LeaseLostError, StoreError
from runguard_core.ledger import Granted, Want
from runguard_core.stores.leases._leases import DEADLINE, IDLE_SECONDS
from runguard_core.stores.leases._slices import NEVER, Slice

if TYPE_CHECKING:
    from runguard_core.stores.leases._holdings import Holdings
    from runguard_core.stores.leases._leases import Leases

_log = logging.getLogger("runguard")
#: How long what has happened may wait for the book.
FLUSH_SECONDS = 0.05
_MOST_SECONDS = 1.0
_DRY_SECONDS = 1.0


class Keeper:
    """Beside one `Leases`.

    Attributes:
        is_asleep: whoever makes work wakes it.
    """

    def __init__(self, leases: Leases) -> None:
        """Starts nothing yet."""
        self._leases = leases
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_asleep = False
        self._is_away = self._is_left = False

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is None:
            with contextlib.suppress(RuntimeError):  # the interpreter is going down: whoever calls flushes
                self._thread = self._leases.host.start(self._run)

    def wake(self) -> None:
        """There is work."""
        self.is_asleep = False
        self._woken.set()

    def stop(self, seconds: float = 5.0) -> None:
        """End the thread, within a bound."""
        self._stopped.set()
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        self._thread = None

    def let_go(self) -> None:
        """Nobody holds the store any more: the thread ends by itself. Takes no lock, a finalizer may call it anywhere."""
        self._is_left = True
        self._stopped.set()
        self._woken.set()

    def retire(self) -> None:
        """Hand everything back."""
        self._leases.retire()

    def _run(self) -> None:
        self._keep()
        if self._is_left:
            self.retire()

    def _keep(self) -> None:
        interval = FLUSH_SECONDS
        while not self._stopped.wait(interval):
            interval = FLUSH_SECONDS if self.tick() else min(2 * interval, _MOST_SECONDS)
            if self._has_nothing():
                self._sleep()

    def _has_nothing(self) -> bool:
        holdings = self._leases.holdings
        return holdings is None or holdings.is_idle()

    def _sleep(self) -> None:
        """Until there is work; with calls in flight only until others would give this owner up."""
        self._woken.clear()
        self.is_asleep = True
        if self._has_nothing() and not self._stopped.is_set():
            holdings = self._leases.holdings
            is_waiting = holdings is not None and bool(holdings.open)
            self._woken.wait(DEADLINE.total_seconds() / 3 if is_waiting else None)
        self.is_asleep = False

    def tick(self) -> bool:
        """One round; False when the store was away. Never raises."""
        leases = self._leases
        holdings = leases.holdings
        if holdings is None:
            return True
        try:
            given = self._given(holdings)
            with leases.outages.since(leases.host.monotonic()):
                while leases.flush(given, renew=bool(holdings.open) and leases.is_renewal_due(), at_once=True):
                    leases.host.pause(0)  # whoever waits for the store comes between
            with leases.flow, leases.outages.since(leases.host.monotonic()):
                holdings.forget_unused(leases.host.monotonic(), IDLE_SECONDS)
                self._fetch_ahead(holdings)
        except StoreError as error:
            if not self._is_away:
                _log.warning("RunGuard cannot write to its store, and keeps what happens in its journal: %s", error)
            self._is_away = True
            return False
        except Exception:  # noqa: BLE001  the thread must live: what happened is in the journal
            _log.exception("RunGuard could not write what happened to its store; it stays in its journal")
            return False
        self._is_away = False
        return True

    def _given(self, holdings: Holdings) -> _Given:
        return _Given(holdings, self._leases.host.monotonic())

    def _fetch_ahead(self, holdings: Holdings) -> None:
        """A slice that is being used up is filled before a call has to wait for it."""
        leases = self._leases
        reading = leases.host.monotonic()
        low = [one for one in tuple(holdings.slices.values()) if _is_low(one, reading)]
        if not low or holdings.last_at is None or leases.holdings is not holdings:
            return
        wants = [Want(one.account, 0, one.next_want(0, reading), one.limit, one.shown) for one in low]
        try:
            granted = leases.backend.grant(leases.owner, wants, now=holdings.last_at)
        except LeaseLostError:
            leases.lose()
            return
        except StoreError:
            holdings.is_unsure = True
            raise
        with holdings.lock:
            for one, want in zip(low, wants, strict=True):
                if not isinstance(granted, Granted) or not granted.amounts[one.key]:
                    one.dry_until = reading + _DRY_SECONDS
                elif one.limit == want.limit:
                    one.granted(granted.amounts[one.key], want.limit, want.want, reading)
                    one.learn(granted.balances[one.key], one.leased)


def _is_low(one: Slice, reading: float) -> bool:
    used_now = reading - one.used_at < 4 * FLUSH_SECONDS
    return one.limit != NEVER and used_now and one.free < one.want // 2 and reading >= max(one.dry_until, one.scarce_until)


class _Given:
    """What is handed back in a round: what others have asked for, and what is idle."""

    def __init__(self, holdings: Holdings, reading: float) -> None:
        self._asked, self._reading = holdings.wanted_back(reading), reading

    def __call__(self, one: Slice) -> bool:
        asked = self._asked is not None and self._asked(one)
        return asked or self._reading - one.used_at > IDLE_SECONDS
