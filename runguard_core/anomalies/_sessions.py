"""Sessions: a running one is compared with finished ones, in all and at the same turn."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from runguard_core.anomalies._episodes import Announced
from runguard_core.anomalies._rules import Kind, WatchRules
from runguard_core.anomalies._spent import Spent
from runguard_core.anomalies._window import Level

_MAX_RUNNING = 20_000
_MAX_BASELINES = 2_000
_MAX_WITHHELD = 300


def _checkpoints() -> dict[int, int]:
    """Turns at which costs are compared, each about a fifth later than the one before: memory grows with their logarithm."""
    found, turn = [], 1
    while turn < 2000:
        found.append(turn)
        turn = max(turn + 1, turn + turn // 5)
    return {turn: place for place, turn in enumerate(found)}


CHECKPOINTS = _checkpoints()


class Sign(NamedTuple):
    """Something stands out: what it is, what was expected, what was seen, and the sentence that says so."""

    kind: Kind
    expected_nanos: int
    seen_nanos: int
    turn: int = 0


@dataclass(slots=True)
class Running:
    """A session in progress.

    `marks`: cost so far at each checkpoint. `announced`: its own episode; `is_out`: it stands out (perhaps within another's).
    """

    feature: str
    agent: str
    session: str
    run: str
    first_seconds: float
    last_seconds: float
    nanos: int = 0
    turn_count: int = 0
    turn: tuple[str, int] = ("", 0)
    marks: list[int] = field(default_factory=list)
    announced: Announced | None = None
    is_out: bool = False
    expected_nanos: int = 0


class Finished:
    """What finished sessions of one feature and agent cost, in all and at each checkpoint."""

    __slots__ = ("at_turn", "total", "withheld")

    def __init__(self) -> None:
        """No session yet."""
        self.total = Level(300)
        self.at_turn: list[Level] = []
        self.withheld: deque[tuple[int, list[int]]] = deque(maxlen=_MAX_WITHHELD)

    def add(self, nanos: int, marks: list[int]) -> None:
        """One more normal session."""
        self.total.add(nanos)
        while len(self.at_turn) < len(marks):
            self.at_turn.append(Level(200))
        for level, mark in zip(self.at_turn, marks, strict=False):
            level.add(mark)

    def release(self) -> None:
        """What was withheld turns out to be normal."""
        while self.withheld:
            self.add(*self.withheld.popleft())


class Sessions:
    """All running sessions, the least recently used first, and the baselines. Bounded: the oldest are finished or forgotten."""

    def __init__(self, rules: WatchRules) -> None:
        """Nothing seen yet."""
        self._rules = rules
        self._running: OrderedDict[tuple[str, str], Running] = OrderedDict()
        self._finished: OrderedDict[tuple[str, str], Finished] = OrderedDict()

    def baseline(self, feature: str, agent: str) -> Finished:
        """The finished sessions of a feature and agent."""
        key = (feature, agent)
        found = self._finished.get(key)
        if found is None:
            found = self._finished[key] = Finished()
            while len(self._finished) > _MAX_BASELINES:
                self._finished.popitem(last=False)
        else:
            self._finished.move_to_end(key)
        return found

    def all_running(self) -> list[Running]:
        """The sessions in progress."""
        return list(self._running.values())

    def dearest(self, feature: str) -> Running | None:
        """The running session of a feature that has cost most; asked when an episode is opened, not at every call."""
        return max((one for one in self._running.values() if one.feature == feature), key=lambda one: one.nanos, default=None)

    def is_spike(self, one: Running) -> bool:
        """Whether a session costs more than finished ones did in all."""
        base = self._finished.get((one.feature, one.agent))
        if base is None or len(base.total) < self._rules.min_history_sessions:
            return False
        return one.nanos > self._limit(base.total) * self._rules.factor(one.feature, one.last_seconds)

    def observe(self, spent: Spent) -> tuple[Running, Sign | None]:
        """Add a call to its session; a sign comes back when the session stands out after it."""
        key = (spent.feature, spent.session)
        one = self._running.get(key)
        if one is None:
            at = spent.at_seconds
            one = Running(spent.feature, spent.agent, spent.session, spent.run, at, at)
            self._running[key] = one
        else:
            self._running.move_to_end(key)
            one.last_seconds = max(one.last_seconds, spent.at_seconds)
        place = self._take_turn(one, spent) if spent.model else None
        one.nanos += spent.nanos
        one.run = spent.run or one.run
        return one, self._judge(one, place)

    def _take_turn(self, one: Running, spent: Spent) -> int | None:
        """A model call begins a turn, unless it repeats the latest one; the place of the checkpoint the session is at."""
        turn = (spent.run, spent.turn)
        if turn != one.turn or not spent.turn:
            if one.turn_count in CHECKPOINTS:
                one.marks.append(one.nanos)
            one.turn = turn
            one.turn_count += 1
        return CHECKPOINTS.get(one.turn_count)

    def _judge(self, one: Running, place: int | None) -> Sign | None:
        base = self._finished.get((one.feature, one.agent))
        rules = self._rules
        if base is None or len(base.total) < rules.min_history_sessions:
            return None
        factor = rules.factor(one.feature, one.last_seconds)
        if one.nanos > self._limit(base.total) * factor:
            return Sign(Kind.SESSION_SPIKE, round(base.total.expected * factor), one.nanos, one.turn_count)
        if place is None or place >= len(base.at_turn):
            return None
        level = base.at_turn[place]
        if len(level) >= rules.min_history_sessions and one.nanos > self._limit(level) * factor:
            return Sign(Kind.MID_SESSION, round(level.expected * factor), one.nanos, one.turn_count)
        return None

    def _limit(self, level: Level) -> float:
        rules, limits = self._rules, self._rules.thresholds
        deviations, reach = rules.deviations(limits.session_deviations), rules.deviations(limits.session_reach)
        return level.limit(deviations, reach, limits.session_ratio)

    def expected_nanos(self, one: Running) -> int:
        """What a session like this one costs in all."""
        base = self._finished.get((one.feature, one.agent))
        if base is None or not len(base.total):
            return 0
        return round(base.total.expected * self._rules.factor(one.feature, one.last_seconds))

    def finish_idle(self, at_seconds: float) -> Iterator[Running]:
        """Sessions without calls for too long, or too many at once, taken out; the caller files them with `file`."""
        before = at_seconds - self._rules.idle_seconds
        while self._running:
            first = next(iter(self._running.values()))
            if first.last_seconds >= before and len(self._running) < _MAX_RUNNING:
                return
            del self._running[(first.feature, first.session)]
            yield first

    def file(self, one: Running, *, withhold: bool) -> None:
        """A finished session joins the baseline, unless it stood out or its feature did, or more was planned then."""
        if one.nanos <= 0 or self._rules.factor(one.feature, one.last_seconds) != 1.0:
            return
        if one.turn_count in CHECKPOINTS:
            one.marks.append(one.nanos)
        base = self.baseline(one.feature, one.agent)
        if withhold:
            base.withheld.append((one.nanos, one.marks))
        else:
            base.add(one.nanos, one.marks)

    def release(self, feature: str) -> None:
        """What stood out in a feature is normal from now on."""
        for (name, _), base in self._finished.items():
            if name == feature:
                base.release()
