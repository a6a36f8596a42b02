"""`Delivery`: the one thread of a process that sends messages; no call ever waits for it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from dataclasses import replace

from runguard_core.alerts._channels import Channel
from runguard_core.alerts._delivering import deliver
from runguard_core.alerts._messages import Message, Result
from runguard_core.alerts._posting import Line
from runguard_core.alerts._reading import FIRST_SECONDS, Correspondence
from runguard_core.alerts._routing import Alerting
from runguard_core.alerts._schedule import next_look_seconds, ready
from runguard_core.clock import Clock, SystemClock
from runguard_core.errors import RunguardError
from runguard_core.ids import new_id
from runguard_core.ledger import Event, Store

_log = logging.getLogger("runguard")
#: How often the ledger is asked what others wrote (a kill from a command line), where this process has nothing to say.
IDLE_SECONDS = 15.0
#: Looks are so far apart, and a hundred times as long as the last reading kept this processor: a storm is one look.
_APART_SECONDS, _REST_RATIO, _MAX_REST_SECONDS = 0.2, 100.0, 30.0
DRAIN_SECONDS = 5.0
#: With less than that left, a closing process begins no request: the next one has more time for it.
_LEAST_SECONDS = 1.0


class Delivery:
    """Hears events, and delivers the outbox of one app from a daemon thread of its own.

    Everything but `hear`, `wake`, `start` and `close` runs on that thread. Nothing raises into the program.
    """

    def __init__(self, store: Store, app: str, alerting: Alerting, clock: Clock | None = None) -> None:
        """Nothing is read, sent or started."""
        self._store, self._alerting = store, alerting
        self._clock = clock or SystemClock()
        self._known = Correspondence(store, app, alerting)
        self._by = ""
        self._heard: deque[Event] = deque()
        self._unwritten: list[Event] = []
        self._line = Line()
        self._closes_at: float | None = None
        self._reading_seconds = 0.0
        self._prepare()

    def _prepare(self) -> None:
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._news, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    # -- for others ----------------------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        """A listener of the guard: what may become a message wakes the thread, and that is all."""
        if event.kind in self._alerting.kinds:
            self._heard.append(event)
            self.wake()

    def wake(self) -> None:
        """Look soon."""
        self.start()
        self._news.set()

    def start(self) -> None:
        """Make sure the thread runs (again, after a fork)."""
        if self._pid != os.getpid():
            self._prepare()  # the parent's thread is not here, and its locks may be held for ever
        with self._lock:
            if self._thread is None and self._closes_at is None:
                self._thread = threading.Thread(target=self._run, name="runguard-alerts", daemon=True)
                self._thread.start()

    def close(self, seconds: float = DRAIN_SECONDS) -> None:
        """Send what is due, within a bound; what is left stays in the outbox for the next process."""
        thread = self._thread if self._pid == os.getpid() else None
        self._closes_at = time.monotonic() + seconds
        if thread is None or thread is threading.current_thread():
            return
        self._closing.set()
        self._news.set()
        thread.join(seconds)
        if thread.is_alive():
            self._line.cut()
            thread.join(_LEAST_SECONDS)

    # -- on the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._by = f"{os.getpid()}-{new_id()}"
        while True:
            is_last = self._closes_at is not None
            began = time.monotonic()
            wait = self._safely()
            if is_last:
                return
            rest = max(_APART_SECONDS, min(_REST_RATIO * self._reading_seconds, _MAX_REST_SECONDS))
            if self._closes_at is None:
                self._news.wait(max(wait - (time.monotonic() - began), 0.0))
            self._news.clear()
            self._closing.wait(max(began + rest - time.monotonic(), 0.0))

    def _safely(self) -> float:
        """Look; what fails is said in the log and tried again later."""
        try:
            return self.look()
        except RunguardError as error:
            _log.warning("RunGuard could not read or write its outbox, alerts wait: %s", error)
        except Exception:  # noqa: BLE001  the thread must outlive whatever happens
            _log.exception("RunGuard's delivery of alerts failed; it goes on")
        return IDLE_SECONDS

    def look(self) -> float:
        """Queue what is to be said, send what is due; after how many seconds there may be more to do.

        Raises:
            StoreError: the ledger could not be read or written.
        """
        now, known, began = self._clock.now(), self._known, time.thread_time()
        while self._heard:
            known.hear(self._heard.popleft())
        self._write([])
        known.begin(now)
        known.read(now)
        queued = known.unqueued(now, is_last=self._closes_at is not None)
        if queued:
            self._store.announce(queued)
            known.absorb(queued)
        self._reading_seconds = time.thread_time() - began
        self._send_due()
        most = IDLE_SECONDS if known.has_judged_whole else FIRST_SECONDS
        return next_look_seconds(known.messages.values(), self._alerting.channels, self._clock.now(), most)

    def _send_due(self) -> None:
        due = ready(self._known.messages.values(), self._alerting.channels, self._clock.now())
        if any(one.last is not None and one.last.result is None for one in due):
            self._known.read(self._clock.now(), whole=True)  # is the try really lost? its answer may be a late one
            due = ready(self._known.messages.values(), self._alerting.channels, self._clock.now())
        left_alone: set[str] = set()
        for message in due:
            if message.channel in left_alone or not self._may_begin():
                continue
            if not self._send(message, self._alerting.channels[message.channel]):
                left_alone.add(message.channel)

    def _may_begin(self) -> bool:
        return self._closes_at is None or self._closes_at - time.monotonic() >= _LEAST_SECONDS

    def _send(self, message: Message, channel: Channel) -> bool:
        """One try; whether the channel may be sent the next message now."""
        if self._closes_at is not None:
            channel = replace(channel, timeout_seconds=min(channel.timeout_seconds, self._closes_at - time.monotonic()))
        self._line = Line()
        claim, written = deliver(
            self._store, channel, message, self._known.messages.values(), now=self._clock.now, by=self._by, line=self._line
        )  # fmt: skip
        self._known.absorb([claim, *written])
        self._write(written)
        last = self._known.messages[message.id].last
        if last is not None and last.result not in {None, Result.SENT}:
            _log.warning("RunGuard's alert %s to %s: %s", message.id, channel.name, last.reason)
        return last is None or last.holds_until is None

    def _write(self, events: list[Event]) -> None:
        """What cannot be written now is kept and written first thing next time: an answer that is lost is a message twice."""
        self._unwritten += events
        if self._unwritten:
            self._store.announce(self._unwritten)
            self._unwritten = []
