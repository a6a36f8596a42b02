"""Events go to listeners on one thread of their own, so that no listener can slow down or break a call."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from runguard_core.ledger import Event

#: Who hears events; what it returns is ignored, what it raises is logged. May be a coroutine function.
Listener = Callable[[Event], Any]

_log = logging.getLogger("runguard")
_CLOSE = object()
_DRAIN_SECONDS = 5.0
#: Grows in the child of a fork, where the threads of the parent do not run.
_generation = 0


def _forked() -> None:
    global _generation  # noqa: PLW0603  one number a process
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Dispatcher:
    """One daemon thread, started with the first event or heartbeat; also runs a heartbeat every `beat_seconds`."""

    def __init__(self, listeners: Sequence[Listener] = (), *, beat: Callable[[], None], beat_seconds: float) -> None:
        """Keep listeners and the heartbeat; nothing is started yet."""
        self._listeners: list[tuple[Listener, Collection[str] | None]] = [(listener, None) for listener in listeners]
        #: What is heard at all, None: every kind. It only grows: who stops hearing leaves at most some events too many.
        self._wanted: frozenset[str] | None = None if self._listeners else frozenset()
        self._beat, self._beat_seconds = beat, beat_seconds
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._at_end: list[Callable[[], object]] = []
        self._thread: threading.Thread | None = None
        self._started_in = -1
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, listener: Listener, kinds: Collection[str] | None = None) -> None:
        """Hear events from now on; None: of every kind. An event that nobody hears costs its call nothing."""
        self._listeners.append((listener, kinds))
        self._wanted = None if kinds is None or self._wanted is None else self._wanted | frozenset(kinds)

    def remove(self, listener: Listener) -> None:
        """Stop hearing; unknown listeners are ignored."""
        for one in tuple(self._listeners):
            if one[0] == listener:
                with contextlib.suppress(ValueError):
                    self._listeners.remove(one)

    def send(self, events: Sequence[Event]) -> None:
        """Hand events over; returns at once."""
        if not self._listeners or not events:
            return
        if self._wanted is not None:
            events = [event for event in events if event.kind in self._wanted]
            if not events:
                return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        for event in events:
            self._queue.put((event, loop))
        self.start()

    def defer(self, action: Callable[[], None]) -> None:
        """Do something on the thread, soon. Takes no lock and starts nothing, so a finalizer may call it."""
        self._queue.put(action)

    def at_end(self, action: Callable[[], object]) -> None:
        """Do something when closing, behind the last event."""
        self._at_end.append(action)

    def start(self) -> None:
        """Make sure the thread runs (again, after a fork)."""
        if self._started_in == _generation:
            return
        with self._lock:
            if self._started_in != _generation:
                self._thread = threading.Thread(target=self._run, name="runguard-dispatch", daemon=True)
                self._started_in = _generation
                self._thread.start()

    def close(self, drain_seconds: float = _DRAIN_SECONDS) -> None:
        """Deliver what is queued, within a bound, and end the thread."""
        thread, running = self._thread, self._started_in == _generation
        self._started_in = -1
        if thread is not None and running and thread is not threading.current_thread():
            self._queue.put(_CLOSE)
            thread.join(drain_seconds)
        self._thread = None
        while self._at_end:
            self._do(self._at_end.pop(0))

    def flush(self, seconds: float = _DRAIN_SECONDS) -> bool:
        """Wait until everything queued so far has been delivered; False when that took longer."""
        if self._thread is None or self._started_in != _generation:
            return True
        done = threading.Event()
        self._queue.put(done)
        return done.wait(seconds)

    def _run(self) -> None:
        due = time.monotonic() + self._beat_seconds
        while True:
            try:
                item = self._queue.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                due = time.monotonic() + self._beat_seconds
                self._heartbeat()
                continue
            if item is _CLOSE:
                break
            if isinstance(item, threading.Event):
                item.set()
            elif callable(item):
                self._do(item)
            else:
                self._deliver(*item)
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _heartbeat(self) -> None:
        try:
            self._beat()
        except Exception:  # noqa: BLE001  the thread must outlive any store's failure
            _log.exception("RunGuard could not renew its holds; they expire and are charged at their quotes")

    def _do(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception:  # noqa: BLE001  the thread must outlive whatever it is handed
            _log.exception("RunGuard could not finish what it had put off")

    def _deliver(self, event: Event, loop: asyncio.AbstractEventLoop | None) -> None:
        for listener, kinds in tuple(self._listeners):
            if kinds is not None and event.kind not in kinds:
                continue
            try:
                returned = listener(event)
                if inspect.isawaitable(returned):
                    self._await(returned, loop)
            except Exception:  # noqa: BLE001  a user's listener may raise anything
                _log.exception("a RunGuard listener failed on event %s", event.kind)

    def _await(self, awaitable: Awaitable[Any], loop: asyncio.AbstractEventLoop | None) -> None:
        """Run it on the loop of the admission while that lives, else on the dispatcher's own."""
        if loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(_logged(awaitable), loop)
            return
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(_logged(awaitable))


async def _logged(awaitable: Awaitable[Any]) -> None:
    try:
        await awaitable
    except Exception:  # noqa: BLE001  a user's listener may raise anything
        _log.exception("an asynchronous RunGuard listener failed")
