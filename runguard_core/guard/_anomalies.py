"""`Lookout`: from settled calls to announced episodes, on the dispatcher's thread and off the path of a call."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runguard_core.anomalies import Change, Episode, SpendWatch, What, latest, spent_by
from runguard_core.calls import ModelCall
from runguard_core.errors import StoreError
from runguard_core.guard._anomaly_events import FiledEpisode, anomaly_event, file_event
from runguard_core.guard._anomaly_history import LedgerTail
from runguard_core.guard._anomaly_tripping import trip_for, trips
from runguard_core.ledger import EventFilter

if TYPE_CHECKING:
    from runguard_core.guard._engine import Engine
    from runguard_core.guard._reservation import Reservation

_MAX_WAITING = 50_000
_WAKE_COUNT = 256
_WAKE_SECONDS = 1.0
#: A program that is over sooner has nothing to learn from the past.
_FIRST_SECONDS = 5.0
_BITE = 2_000
#: How often the ledger is asked for what others wrote; and a hundred times as long as the last answer took.
_REFRESH_SECONDS = 60.0
_REST_RATIO = 100.0
_MAX_REST_SECONDS = 600.0
_EVENTS_AGE = timedelta(days=60)
_EVENTS_OVERLAP = timedelta(minutes=5)


class Lookout:
    """Feeds the watch, once a second or every 256 calls while calls go on, and at every heartbeat.

    Everything but `feed` and `kick` runs on the dispatcher's thread; nothing raises into the program.
    """

    _watch: SpendWatch
    _tail: LedgerTail
    _loading: Iterator[None] | None

    def __init__(self, engine: Engine) -> None:
        """Nothing is read before the first look."""
        self._engine, self._app = engine, engine.rules.defaults.app
        self._begin()
        self._fault_count = 0
        self._waiting: deque[Reservation] = deque(maxlen=_MAX_WAITING)
        self._is_waking = False
        self._due = engine.clock.monotonic() + _FIRST_SECONDS
        self._refresh_due = 0.0
        self._filed: dict[str, FiledEpisode] = {}
        self._events_from: datetime | None = None
        self._said: set[str] = set()
        self._tripped: set[str] = set()
        self._same_as: dict[str, str] = {}

    # -- on the path of a call ------------------------------------------------------------------------------------

    def feed(self, settled: Reservation, now: float) -> None:
        """A call has been posted, at `now` on the stopwatch: it is put aside, and that is all its path pays for."""
        self._waiting.append(settled)
        if now >= self._due or len(self._waiting) >= _WAKE_COUNT:
            self.kick(now)

    def kick(self, now: float) -> None:
        """Look soon, on the dispatcher's thread."""
        self._due = now + _WAKE_SECONDS
        if not self._is_waking:
            self._is_waking = True
            self._engine.dispatcher.defer(self.look)

    def flush(self, seconds: float) -> None:
        """Wait until everything settled so far has been looked at, within a bound."""
        end = time.monotonic() + seconds
        engine, faults = self._engine, self._fault_count
        engine.dispatcher.start()
        while (left := end - time.monotonic()) > 0:
            self.kick(engine.clock.monotonic())
            if not engine.dispatcher.flush(left) or self._loading is None or self._fault_count != faults:
                return

    # -- on the dispatcher's thread -------------------------------------------------------------------------------

    def look(self) -> None:
        """First the past, in bites; then what waits, what others did, and what is over by now."""
        self._is_waking = False
        if self._loading is not None and self._goes_on_loading(self._loading):
            self.kick(self._engine.clock.monotonic())
            return
        now = self._engine.clock.now()
        due = self._engine.clock.monotonic() >= self._refresh_due
        changes = self._read_others(now) if due else []
        while self._waiting:
            changes += self._take(self._waiting.popleft())
        if due:
            self._tail.forget()
        changes += self._watch.settle(now.timestamp())
        self._act(changes, now)

    def _goes_on_loading(self, loading: Iterator[None]) -> bool:
        """Read one more bite of the past; where that fails (a ledger that cannot be read, a fork amidst it), all of it again."""
        try:
            next(loading)
        except StopIteration:
            self._loading = None
            return False
        except Exception:
            self._fault_count += 1
            self._begin()
            raise
        return True

    def _begin(self) -> None:
        self._watch = SpendWatch(self._app, self._engine.rules.anomalies.watch, self._engine.rules.zone)
        self._tail = LedgerTail(self._engine.store, self._app)
        self._loading = self._load()

    def _take(self, one: Reservation) -> list[Change]:
        settled, call = one.settlement, one.call
        if settled is None or settled.from_cache or not self._tail.is_new(one.call_id, settled.at):
            return []
        is_model = isinstance(call, ModelCall)
        name = call.model if isinstance(call, ModelCall) else call.name
        return self._watch.observe(spent_by(one.attribution, one.call_id, name, settled, is_model=is_model))

    def _read_others(self, now: datetime) -> list[Change]:
        """Calls and judgements that others have put into the ledger, once a minute; rarer where reading takes long."""
        began = self._engine.clock.monotonic()
        self._read_events(now)
        changes = [change for spent in self._tail.others(now) for change in self._watch.observe(spent)]
        ended = self._engine.clock.monotonic()
        self._refresh_due = ended + min(max(_REFRESH_SECONDS, _REST_RATIO * (ended - began)), _MAX_REST_SECONDS)
        return changes

    def _load(self) -> Iterator[None]:
        """The past, with a pause after each bite; then what was found is held against what had been announced."""
        now = self._engine.clock.now()
        self._read_events(now)
        changes: list[Change] = []
        for day in self._tail.history(now):
            for start in range(0, len(day), _BITE):
                for spent in day[start : start + _BITE]:
                    changes += self._watch.observe(spent)
                yield
            yield
        changes += self._watch.settle(self._engine.clock.now().timestamp())
        self._reconcile(latest(changes))

    def _reconcile(self, found: dict[str, Episode]) -> None:
        """Announce what began or ended while nobody looked; an open episode that is known goes on under its known id."""
        now = self._engine.clock.now()
        going_on = {one.id: one for one in self._watch.open_episodes()}
        unknown = {one.subject: one for one in going_on.values() if one.id not in self._filed}
        missed: list[Change] = []
        for filed in tuple(self._filed.values()):
            known = filed.episode
            if known.ended_at is not None or known.id in going_on or filed.label is not None:
                continue
            if (same := unknown.pop(known.subject, None)) is not None:
                self._same_as[same.id] = known.id
                continue
            last = found.get(known.id) or known
            if last.ended_at is None:
                last = replace(last, ended_at=last.seen_at, outcome="not seen any more")
            missed.append(Change(What.CLOSED, last, now.timestamp()))
        missed += [Change(What.OPENED, one, now.timestamp()) for one in unknown.values()]
        self._act(missed, now)

    def _read_events(self, now: datetime) -> None:
        """What has been announced, and what people have said of it."""
        since = self._events_from or now - _EVENTS_AGE
        self._events_from = now - _EVENTS_OVERLAP
        for event in self._engine.store.events(EventFilter(app=self._app, since=since)):
            filed = file_event(self._filed, event)
            if filed is not None:
                self._said.add(event.id)
                if filed.label is not None:
                    self._watch.label(filed.episode.id, filed.label)

    def _act(self, changes: Iterable[Change], now: datetime) -> None:
        """Announce what nobody has announced yet, and stop what the policy wants stopped."""
        changes = list(changes)
        if not changes:
            return
        with suppress(StoreError):  # what cannot be read cannot keep us from speaking: events with the same id are one
            self._read_events(now)
        said = []
        for change in changes:
            known = self._same_as.get(change.episode.id)
            one = change if known is None else replace(change, episode=replace(change.episode, id=known))
            if one.what is not What.JOINED:
                event = anomaly_event(one, self._app)
                if event.id in self._said:
                    continue
                self._said.add(event.id)
                file_event(self._filed, event)
                said.append(event)
            if trips(self._engine, one) and one.episode.id not in self._tripped:
                self._tripped.add(one.episode.id)
                trip_for(self._engine, one.episode, now)
        self._engine.announce(said)
