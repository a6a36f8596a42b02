"""Playing recordings through a real guard: what a policy would have refused, and what that would have saved.

The recorded run went on; the guard only watches it go by. From the first call that it refuses nothing more of that run
would have been sent, so the rest of the recording is what stopping would have saved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import heappop, heappush

from runguard_core.errors import InvalidAmountError, StoppedError
from runguard_core.guard import Guard, Reservation, Rules
from runguard_core.ledger import EventFilter
from runguard_core.money import usd_to_nanos
from runguard_core.replay._calling import Caller
from runguard_core.replay._dead_tail import beats_of_events, dead_tail_nanos
from runguard_core.replay._hearing import heard, stop_of
from runguard_core.replay._money import RecordedPrices, cost_of, counting_of, recorded_prices, usage_of
from runguard_core.replay._played import Played, Stop, Tally
from runguard_core.replay._recording import RecordedEvent, Recording
from runguard_core.replay._timeline import Moment, RecordedClock, moments, noon
from runguard_core.usage import Usage

#: Nothing of a replay is renewed by a heartbeat, so a hold lives as long as any call may last.
_HOLD_SECONDS = 400 * 86400.0


def play(recordings: Sequence[Recording], rules: Rules, *, begin: datetime | None = None) -> list[Played]:
    """Play recordings one after another through one guard, so that they share its budgets and, by session, its breaker.

    Nothing is written but to a ledger in memory; no network, no sleeping: time is the recordings' own.

    Args:
        recordings: in the order in which they happened.
        rules: the policy.
        begin: where recordings without times start (UTC); today at noon when left out.
    """
    begin = begin or noon(datetime.now(UTC))
    scenes = [_Scene.of(recording, begin) for recording in recordings]
    prices = recorded_prices(rules)
    clock = RecordedClock(min((scene.moments[0].start for scene in scenes if scene.moments), default=begin))
    rules = replace(rules, prices=prices, hold_seconds=_HOLD_SECONDS)
    with Guard(rules=rules, store="memory://", clock=clock) as guard:
        guard._engine.kill_file = None  # noqa: SLF001  what a person has stopped now did not stop what happened then
        seen: Counter[str] = Counter()
        return [_Playing(guard, clock, scene, prices, seen).played() for scene in scenes]


@dataclass(frozen=True, slots=True)
class _Scene:
    """A recording with its times and tokens worked out."""

    recording: Recording
    moments: list[Moment]
    usages: list[Usage | None]

    @classmethod
    def of(cls, recording: Recording, begin: datetime) -> _Scene:
        counting = counting_of(recording.events)
        usages = [usage_of(event, counting) if event.kind == "llm" else None for event in recording.events]
        return cls(recording, moments(recording, begin), usages)

    def costs(self, prices: RecordedPrices, rules: Rules) -> list[int | None]:
        """Nano-USD of every event: 0 for what is no paid call, None where nobody can say."""
        found: list[int | None] = []
        for event, moment, usage in zip(self.recording.events, self.moments, self.usages, strict=True):
            if event.kind == "llm":
                found.append(cost_of(event, usage, prices, moment.start))
            else:
                found.append(rules.tool_prices_nanos.get(event.name or "", 0) if event.kind == "tool" else 0)
        return found


class _Playing:
    """One recording on its way through the guard."""

    def __init__(self, guard: Guard, clock: RecordedClock, scene: _Scene, prices: RecordedPrices, seen: Counter[str]) -> None:
        """Take up the recording; runs and sessions of one guard are told apart even where ids repeat."""
        self._guard, self._clock, self._scene = guard, clock, scene
        recording = self._recording = scene.recording
        prices.as_recorded = frozenset(event.model for event in recording.events if event.model and event.cost_nanos is not None)
        self._costs = scene.costs(prices, guard.rules)
        seen[recording.run_id] += 1
        run = recording.run_id if seen[recording.run_id] == 1 else f"{recording.run_id} ({seen[recording.run_id]})"
        self._caller = Caller(recording, recording.session or run, run, guard)
        self._starts: list[datetime] = []
        self._open: list[tuple[datetime, int, Reservation]] = []
        self._stopped: set[str] = set()
        self._stop: Stop | None = None

    def played(self) -> Played:
        """Play it to its end."""
        recording, saved = self._recording, Tally()
        for place, event in enumerate(recording.events):
            start = self._scene.moments[place].start
            self._settle_until(start)
            self._starts.append(self._clock.move_to(start))
            if self._is_refused(event, place):
                saved += self._tally(event, place)
        self._settle_until(None)
        whole = sum((self._tally(event, place) for place, event in enumerate(recording.events)), Tally())
        numbers = [event.index for event in recording.events]
        said = heard(self._guard.store.events(EventFilter(session=self._caller.session)), self._caller.run, self._starts, numbers)
        for run in {self._caller.run_of(event) for event in recording.events}:
            self._guard.end_run(self._guard.rules.defaults.with_values(session=self._caller.session, run=run))
        return Played(
            run_id=recording.run_id,
            event_count=len(recording.events),
            stop=self._stop or said.last_stop,
            warns=said.warns,
            whole=whole,
            saved=saved,
            stated_nanos=_stated(recording) if whole.untold_count and not whole.nanos else None,
            went_well=recording.went_well,
            dead_tail_nanos=dead_tail_nanos(beats_of_events(recording.events, self._costs)),
        )

    def _is_refused(self, event: RecordedEvent, place: int) -> bool:
        """Whether it would not have happened; a call that is let pass is reserved and settled."""
        run = self._caller.run_of(event)
        if run in self._stopped:
            return True
        if event.kind == "user":
            self._caller.prompt(event)
        if event.is_call:
            try:
                self._pass(event, place)
            except StoppedError as error:
                self._stopped.add(run)
                self._stop = self._stop or stop_of(error, event.index, place)
                return True
        return False

    def _pass(self, event: RecordedEvent, place: int) -> None:
        call = self._caller.call(event, place, self._scene.usages[place])
        held = self._guard.reserve(call, self._caller.who(event))
        self._caller.passed(event, held.call_id)
        heappush(self._open, (self._scene.moments[place].end, place, held))

    def _settle_until(self, now: datetime | None) -> None:
        """Calls that have ended by then are settled, each at its time; None: all."""
        while self._open and (now is None or self._open[0][0] <= now):
            end, place, held = heappop(self._open)
            self._clock.move_to(end)
            event, usage = self._recording.events[place], self._scene.usages[place]
            held.settle(self._caller.outcome(event, place, usage, self._costs[place]))

    def _tally(self, event: RecordedEvent, place: int) -> Tally:
        if not event.is_call or event.was_refused:
            return Tally()
        usage, cost, is_model = self._scene.usages[place], self._costs[place], event.kind == "llm"
        is_free = event.error is not None and cost is None
        return Tally(
            call_count=1,
            turn_count=int(is_model and event.error is None),
            tokens=usage.total_tokens if usage is not None else 0,
            nanos=cost or 0,
            untold_count=int(is_model and cost is None and not is_free),
            tokenless_count=int(is_model and usage is None and not is_free),
        )


def _stated(recording: Recording) -> int | None:
    """The run's cost as the recording states it in sum, nano-USD."""
    try:
        return usd_to_nanos(recording.totals.get("cost_usd"))
    except InvalidAmountError:
        return None
