"""What the parts of a guard share, and the small writes they all need."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from runguard_core import breaker
from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.budgets import BudgetBook, Mode
from runguard_core.calls import CallKind
from runguard_core.clock import Clock
from runguard_core.detectors import Fingerprint
from runguard_core.errors import StoreError
from runguard_core.guard._anomalies import Lookout
from runguard_core.guard._backlog import Backlog
from runguard_core.guard._dispatcher import Dispatcher, Listener
from runguard_core.guard._parts import Parts, correct, look_for_orphans
from runguard_core.guard._rules import QuoteMode, Rules
from runguard_core.guard._runs import Runs
from runguard_core.guard._time import SteadyClock
from runguard_core.ids import new_id
from runguard_core.ledger import Event, Latch, Store
from runguard_core.prices import Learned

if TYPE_CHECKING:
    from runguard_core.guard._reservation import Reservation

_log = logging.getLogger("runguard")


#: The kill file is looked for at most so often: a kill by file works for every call that begins later than this after it.
KILL_FILE_SECONDS = 0.05
#: A hold is renewed for so many of its lifetimes; a call that is longer in flight has been forgotten by its caller.
_MAX_RENEWALS = 6
#: So many accounts with thresholds are remembered; then all are forgotten, which at worst leaves a jump unannounced.
_MOST_SEEN = 20_000

#: How a user's id begins that is a keyed digest.
HASHED_USER = "hmac:"


class Engine:
    """Rules, store, prices learned so far, runs in progress, events; held by one guard."""

    def __init__(
        self,
        rules: Rules,
        store: Store,
        *,
        clock: Clock,
        listeners: Sequence[Listener] = (),
        fingerprint: Fingerprint,
        kill_file: Path | None = None,
    ) -> None:
        """Put the parts together; starts nothing."""
        self.rules, self.store, self.fingerprint = rules, store, fingerprint
        self.kill_file = None if kill_file is None else str(kill_file)
        self.no_kill_file_until = float("inf") if kill_file is None else float("-inf")
        self.caps_output = rules.cap_output or rules.quote is QuoteMode.BOUND
        self.clock = SteadyClock(clock)
        app = rules.defaults.app
        self.book = BudgetBook(rules.budgets, app=app, zone=rules.zone, mode=rules.mode)
        self.runs = Runs(rules.active_detectors(), rules.tool_rules, rules.active_turn_detectors())
        self.learned, self.learning = Learned(), threading.Lock()
        self.backlog = Backlog()
        self.owner = f"{os.getpid()}-{new_id()}"
        self.hold_time = timedelta(seconds=rules.hold_seconds)
        self.pending: dict[str, Reservation] = {}
        self.parts = Parts()
        self.latches: breaker.Latches = {}  # as read last
        self.thresholds_said: set[tuple[str, Decimal]] = set()
        self._seen_used: dict[str, int] = {}
        self._said_lock = threading.Lock()
        self.dispatcher = Dispatcher(listeners, beat=self.renew, beat_seconds=rules.hold_seconds / 3)
        watched = (rules.anomalies.mode or rules.mode) is not Mode.OFF
        self.lookout = Lookout(self) if watched else None

    def stopping(self, who: Attribution) -> Latch | None:
        """The latch that would stop a call of this owner now; None when it may go on."""
        latches, now, part = self.store.latches(), self.clock.now(), self.parts.of(who.run)
        found = breaker.blocking(latches, who, now)
        return found if found is not None or part is None else breaker.blocking_above(latches, part.above, now)

    def prune(self) -> None:
        """Drop latches that stop nothing any more, so that asking for them stays cheap."""
        now = self.clock.now()
        for latch in tuple(self.store.latches().values()):
            if breaker.is_stale(latch, now):
                self.store.drop_latch(latch.scope_kind, latch.scope_id)

    def renew(self) -> None:
        """Heartbeat: live holds are extended, overdue ones of the dead are settled, the backlog is written."""
        now = self.clock.now()
        if self.backlog.waiting:
            self.backlog.flush(self.store)
        oldest = self.clock.monotonic() - _MAX_RENEWALS * self.rules.hold_seconds
        live = [call_id for call_id, held in tuple(self.pending.items()) if held.started >= oldest]
        live += self.parts.ids()  # as long as the sub-agent lives
        if live:
            self.store.extend(live, now + self.hold_time)
        self.expire(now)
        look_for_orphans(self.parts, self.store, self.rules.defaults.app, now)
        self.prune()
        if self.lookout is not None:
            self.lookout.look()

    def abandon(self, since: float, *, session: str | None = None, run: str | None = None) -> None:
        """The block of a session (or of a sub-agent's run) is left: calls made inside that nobody closed are charged by what is
        known.
        """
        for held in tuple(self.pending.values()):
            who = held.owner
            if held.started >= since and (who.run == run if run is not None else held.attribution.session == session):
                held.abandon()

    def expire(self, now: datetime) -> None:
        """Settle overdue holds at their quotes and say so; sub-agents' parts at what was spent of them."""
        assumed = self.store.expire(now)
        correct(self.store, assumed, now)
        said = [
            ev.event(ev.CALL_ASSUMED, ev.WARN, f"call {c.id} was never settled: charged at its quote", c.attribution,
                     now, call_id=c.id, cost_nanos=str(c.cost_nanos))
            for c in assumed
            if c.kind is not CallKind.CHILD
        ]  # fmt: skip
        self.announce(said)

    def announce(self, said: Sequence[Event]) -> None:
        """Write events that speak of no entry and tell the listeners; never raises."""
        if not said:
            return
        try:
            self.store.announce(said)
        except StoreError as error:
            _log.warning("RunGuard could not record %d events: %s", len(said), error)
            self.backlog.add(f"{len(said)} events", lambda store: store.announce(said))
        self.dispatcher.send(said)

    def latch(self, latches: Iterable[Latch], said: Sequence[Event]) -> None:
        """Set latches with the event that explains them; never raises (the caller stops the call anyway)."""
        for latch in latches:
            try:
                self.store.put_latch(latch, said)
            except StoreError as error:
                _log.warning("RunGuard could not record a latch: %s", error)
                self.backlog.add(f"latch {latch.scope}", lambda store, kept=latch: store.put_latch(kept))  # type: ignore[misc]
            else:
                self.dispatcher.send(said)
            said = ()

    def look(self, account_key: str, used: int) -> int | None:
        """How much of an account was used when this process last looked, None at first; remembers how much is now."""
        with self._said_lock:
            if len(self._seen_used) >= _MOST_SEEN:
                self._seen_used.clear()
            before = self._seen_used.get(account_key)
            self._seen_used[account_key] = used
            return before

    def say_once(self, key: tuple[str, Decimal]) -> bool:
        """Whether this threshold of this account has not been announced by this process yet."""
        with self._said_lock:
            if key in self.thresholds_said:
                return False
            self.thresholds_said.add(key)
            return True

    def is_killed_by_file(self, reading: float) -> bool:
        """Whether the kill file exists, by a look not older than KILL_FILE_SECONDS; a file that is there is looked at every time.

        Args:
            reading: the stopwatch now, in seconds.
        """
        if self.kill_file is None or reading < self.no_kill_file_until:
            return False
        if os.access(self.kill_file, os.F_OK):
            return True
        self.no_kill_file_until = reading + KILL_FILE_SECONDS
        return False

    def kept_user(self, user: str) -> str:
        """A user's id as the ledger keeps it; what is a digest already stays."""
        return self.hashed_user(user) if self.rules.hash_users else user

    def hashed_user(self, user: str) -> str:
        """A user's id as a digest under the ledger's key."""
        return user if user.startswith(HASHED_USER) else HASHED_USER + self.fingerprint.text(user)

    def who(self, **values: object) -> Attribution:
        """The guard's defaults with some values set."""
        return self.rules.defaults.with_values(**values)
