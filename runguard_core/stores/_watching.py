"""`Watch`: latches and overrides of a store that is elsewhere, at hand: asking before every call is no round trip.

One daemon thread per store reads a small version number every `every_seconds` and the rest only when it has changed. So what
another process writes is seen here within

    every_seconds + the time of one read                  while the store answers,
    blind_seconds                                         while it does not:

until then the last known state goes on stopping what it stopped; afterwards asking raises `StoreUnavailableError`, so that the
policy (`on_store_error`) decides. Nobody is blind and silent about it. What this process writes it sees at once.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import NoReturn

from runguard_core.errors import StoreError, StoreUnavailableError
from runguard_core.ledger import Latch, LimitOverride
from runguard_core.values import value

_log = logging.getLogger("runguard")

#: How often the version is read.
EVERY_SECONDS = 0.25
#: How long the last known state holds while the store does not answer.
BLIND_SECONDS = 10.0
#: The pause between two tries at a store that does not answer doubles up to this.
_MOST_PAUSE_SECONDS = 2.0
#: A thread that is so many rounds late (a process that was stopped and goes on) is not waited for.
_ROUNDS_LATE = 4

Latches = Mapping[tuple[str, str], Latch]
Overrides = Mapping[str, LimitOverride]
#: Pauses so many seconds; True ends the thread.
Wait = Callable[[float], bool]


@value()
class _Seen:
    """What was read, and of which version it is at least."""

    version: Hashable
    latches: Latches
    overrides: Overrides


class Watch:
    """The breaker's state of one store. Reading it takes no lock; whoever refreshes it holds one."""

    def __init__(
        self,
        read_version: Callable[[], Hashable],
        read_latches: Callable[[], Latches],
        read_overrides: Callable[[], Overrides],
        *,
        place: str,
        every_seconds: float = EVERY_SECONDS,
        blind_seconds: float = BLIND_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Wait | None = None,
    ) -> None:
        """Keep how to read; reads nothing and starts nothing until it is asked.

        Args:
            read_version: a small read, safe on any thread, that differs after every write of a latch or an override.
            read_latches, read_overrides: the whole mappings, never changed afterwards.
            place: the store's URL, for errors; without a password.
            every_seconds, blind_seconds: see above.
            monotonic, wait: stand-ins for tests.
        """
        self._read = (read_version, read_latches, read_overrides)
        self._place, self._every, self._blind = place, every_seconds, blind_seconds
        self._monotonic, self._given_wait = monotonic, wait
        self._closed = False
        self._begin()
        _watches.add(self)

    def _begin(self) -> None:
        """Nothing is known: at first, and in a forked child, which has neither the thread nor its place in a lock."""
        self._seen: _Seen | None = None
        self._error: Exception | None = None
        self._read_at = self._tried_at = float("-inf")
        self._fresh_until = float("-inf")
        self._pause = self._every
        self._refreshing, self._ended = threading.RLock(), threading.Event()
        self._thread: threading.Thread | None = None

    # -- asking ---------------------------------------------------------------------------------------------------

    def latches(self) -> Latches:
        """As `Store.latches`.

        Raises:
            StoreUnavailableError: the store has not answered for `blind_seconds`, or not at all yet.
        """
        seen = self._seen
        if seen is None or self._monotonic() >= self._fresh_until:
            seen = self._late()
        return seen.latches

    def overrides(self) -> Overrides:
        """As `Store.overrides`; errors as for `latches`."""
        seen = self._seen
        if seen is None or self._monotonic() >= self._fresh_until:
            seen = self._late()
        return seen.overrides

    def _late(self) -> _Seen:
        """Nothing was read lately. With the thread on it, what is known holds for a while; without, whoever asks reads."""
        if self._error is not None and self._thread is not None:
            return self._known()
        if not self._refreshing.acquire(blocking=self._seen is None or self._seconds_blind() >= self._blind):
            return self._seen or self._late()  # somebody is reading just now
        try:
            if self._monotonic() >= self._fresh_until and (self._error is None or self._seconds_tried() >= self._pause):
                self.poll()
            self._start()
            return self._known()
        finally:
            self._refreshing.release()

    def _known(self) -> _Seen:
        """What was read last, while that may be relied on."""
        seen, error = self._seen, self._error
        if seen is None or (error is not None and self._seconds_blind() >= self._blind):
            self._raise(error)
        return seen

    def _seconds_blind(self) -> float:
        return self._monotonic() - self._read_at

    def _seconds_tried(self) -> float:
        return self._monotonic() - self._tried_at

    def _raise(self, error: Exception | None) -> NoReturn:
        why = error.reason if isinstance(error, StoreError) else error
        if self._read_at == float("-inf"):
            reason = f"who is stopped cannot be read ({why})"
        else:
            reason = f"who is stopped has not been read for {self._seconds_blind():.0f} s ({why})"
        way_out = getattr(error, "way_out", "") or "see that the store is up and can be reached from here"
        raise StoreUnavailableError(self._place, reason, way_out) from error

    # -- refreshing -----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """This process has written a latch or an override: it is seen from now on. Never raises.

        When it cannot be read back, what was known is not good any more: the next one who asks reads, or gets the error.
        """
        with self._refreshing:
            self._seen, self._fresh_until, self._read_at = None, float("-inf"), float("-inf")
            self.poll()

    def poll(self) -> float:
        """Read the version, and the rest when it has changed; how long to pause before the next time, in seconds."""
        with self._refreshing:
            self._tried_at = self._monotonic()
            try:
                self._look()
            except Exception as error:  # noqa: BLE001  whatever it is, the thread must go on and askers must be told
                self._missed(error)
            return self._pause

    def _look(self) -> None:
        read_version, read_latches, read_overrides = self._read
        began = self._monotonic()
        version, seen = read_version(), self._seen
        if seen is None or version != seen.version:
            # the version first: what is written in between makes it differ the next time
            self._seen = _Seen(version, read_latches(), read_overrides())
        if self._error is not None:
            _log.warning("RunGuard reads from %s again who is stopped", self._place)
        self._error, self._pause = None, self._every
        self._read_at, self._fresh_until = began, began + _ROUNDS_LATE * self._every

    def _missed(self, error: Exception) -> None:
        if self._error is None:
            level = logging.WARNING if isinstance(error, StoreError) else logging.ERROR
            _log.log(level, "RunGuard cannot read from %s who is stopped: %s", self._place, error)
        else:
            self._pause = min(2 * self._pause, _MOST_PAUSE_SECONDS)
        self._error = error

    # -- the thread -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is not None or self._closed:
            return
        ended = self._ended
        thread = threading.Thread(
            target=_poll_until, args=(weakref.ref(self), self._given_wait or ended.wait), name="runguard-watch", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter is going down: whoever asks reads
            return
        self._thread = thread

    def close(self) -> None:
        """End the thread; twice is harmless. Who asks afterwards reads for himself."""
        self._closed = True
        self._ended.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread() and self._given_wait is None:
            thread.join(timeout=1.0)

    def start_afresh(self) -> None:
        """In a forked child: what the parent had read may be old by the time the child asks."""
        self._begin()


def _poll_until(watch_of: weakref.ref[Watch], wait: Wait) -> None:
    """The thread: holds the watch only while it reads, so that a store that was let go of ends it."""
    pause = 0.0
    while True:
        watch = watch_of()
        if watch is None or watch._closed:  # noqa: SLF001  our own
            return
        pause = watch.poll() if pause else watch._every  # noqa: SLF001  our own; whoever started us has just read
        del watch
        if wait(pause):
            return


_watches: weakref.WeakSet[Watch] = weakref.WeakSet()


def _after_fork() -> None:
    for watch in tuple(_watches):
        watch.start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
