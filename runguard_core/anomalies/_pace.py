"""A feature's hours and days: what they cost against the same hours and days before."""

from __future__ import annotations

import math
from collections import deque

from runguard_core.anomalies._rules import WatchRules
from runguard_core.anomalies._spent import Point
from runguard_core.anomalies._window import Window

#: Values that a slot needs before something is expected of it: three of its kind.
_MIN_SLOT_COUNT = 3
#: An interruption longer than this starts the series again.
_MAX_GAP_HOURS = 28 * 24
_STEP_HOURS = 3
_STEPS = 24 // _STEP_HOURS
_FLOOR = 0.05


class Slots:
    """Sums by their place on the calendar, and how far they usually lie from what was expected there.

    A small share of a usual sum (`cushion`) is added to both sides of each ratio, so that quiet hours have one too.
    """

    __slots__ = ("_cushion", "_residuals", "_slots", "_usual", "expected", "tail_nanos")

    def __init__(self, cushion_ratio: float, residual_count: int) -> None:
        """Empty. `tail_nanos` is what one dear but ordinary session costs: it makes no sum stand out."""
        self.tail_nanos = 0.0
        self._slots: dict[tuple[bool, int], Window] = {}
        self._residuals = Window(residual_count)
        self._usual = Window(336)
        self._cushion = cushion_ratio
        self.expected = 0.0

    def add(self, is_weekend: bool, place: int, nanos: int) -> None:
        """A sum that has ended."""
        slot = self._slots.get((is_weekend, place))
        if slot is None:
            slot = self._slots[(is_weekend, place)] = Window(8 if is_weekend else 20)
        cushion = self.cushion
        if len(slot) >= _MIN_SLOT_COUNT and cushion > 0:
            self._residuals.add(math.log((nanos + cushion) / (slot.median + cushion)))
        slot.add(float(nanos))
        self._usual.add(float(nanos))

    @property
    def cushion(self) -> float:
        """Added to both sides of a ratio, nano-USD."""
        return max(self._cushion * self.usual, self.tail_nanos)

    @property
    def usual(self) -> float:
        """The third quartile of all sums, nano-USD."""
        return self._usual.quantile(0.75)

    @property
    def residual_count(self) -> int:
        """How many sums have been compared with what was expected."""
        return len(self._residuals)

    def limit(self, is_weekend: bool, place: int, deviations: float, ratio: float) -> float:
        """The sum from which a slot stands out; infinite while the slot has no history. Sets `expected`."""
        slot, cushion = self._slots.get((is_weekend, place)), self.cushion
        if slot is None or len(slot) < _MIN_SLOT_COUNT or cushion <= 0:
            self.expected = 0.0
            return math.inf
        self.expected = slot.median
        step = max(self._residuals.median + deviations * self._residuals.spread(_FLOOR), math.log(ratio))
        return (self.expected + cushion) * math.exp(min(step, 50.0)) - cushion


class Hours:
    """The running hour of a feature. `excess_nanos` sums what hours of the present episode cost above the expected."""

    __slots__ = ("_is_planned", "_point", "_rules", "_withheld", "excess_nanos", "expected", "limit", "slots", "sum_nanos")

    def __init__(self, rules: WatchRules) -> None:
        """Nothing seen yet."""
        self._rules = rules
        self.slots = Slots(0.25, 336)
        self._point: Point | None = None
        self._withheld: deque[tuple[bool, int, int]] = deque(maxlen=336)
        self.sum_nanos = self.excess_nanos = 0
        self.expected, self.limit = 0.0, math.inf
        self._is_planned = False

    def add(self, point: Point, nanos: int, factor: float = 1.0) -> bool:
        """Add a cost; whether the hour stands out now. `factor`: so many times the usual is planned for the hour."""
        here = self._point
        if here is None or point.hour_index != here.hour_index:
            if here is not None and point.hour_index < here.hour_index:
                return False
            self._roll(point, factor)
        self.sum_nanos += nanos
        return self.sum_nanos > self.limit

    def take_back(self, nanos: int) -> None:
        """Something that was added belongs to an episode of its own."""
        self.sum_nanos = max(0, self.sum_nanos - nanos)

    @property
    def above_nanos(self) -> int:
        """What the running hour has cost above the expected."""
        return max(0, round(self.sum_nanos - self.expected))

    def release(self) -> None:
        """What was withheld turns out to be normal."""
        while self._withheld:
            self.slots.add(*self._withheld.popleft())

    def _roll(self, point: Point, factor: float) -> None:
        here = self._point
        if here is not None:
            self._file(here)
            gap = point.hour_index - here.hour_index
            for step in range(1, gap if gap <= _MAX_GAP_HOURS else 0):
                hour = (here.hour + step) % 24  # an hour of a change of clocks may be filed one off: it costs nothing
                day = here.day_index + (here.hour + step) // 24
                self.slots.add((day - 1) % 7 >= 5, hour, 0)
        self._point, self.sum_nanos = point, 0
        rules, limits = self._rules, self._rules.thresholds
        self.limit = math.inf
        limit = self.slots.limit(point.is_weekend, point.hour, rules.deviations(limits.rate_deviations), limits.rate_ratio)
        self._is_planned = factor != 1.0
        self.expected = self.slots.expected * factor
        if self.slots.residual_count >= 24 * 7:
            self.limit = limit * factor

    def _file(self, here: Point) -> None:
        if self.sum_nanos > self.limit:
            self.excess_nanos += self.above_nanos
            self._withheld.append((here.is_weekend, here.hour, self.sum_nanos))
        elif not self._is_planned:
            self.slots.add(here.is_weekend, here.hour, self.sum_nanos)


class Days:
    """The running day of a feature, compared at every third hour with the same part of days before."""

    __slots__ = (
        "_is_planned", "_marks", "_point", "_rules", "_withheld", "count", "excess_nanos", "expected", "is_out", "limit", "slots",
        "sum_nanos",
    )  # fmt: skip

    def __init__(self, rules: WatchRules) -> None:
        """Nothing seen yet."""
        self._rules = rules
        self.slots = [Slots(0.1, 40) for _ in range(_STEPS)]
        self._point: Point | None = None
        self._marks: list[int] = []
        self._withheld: deque[tuple[bool, list[int]]] = deque(maxlen=60)
        self.count = self.sum_nanos = self.excess_nanos = 0
        self.expected, self.limit, self.is_out = 0.0, math.inf, False
        self._is_planned = False

    @property
    def day_index(self) -> int:
        """The running day."""
        return self._point.day_index if self._point is not None else 0

    @property
    def usual_nanos(self) -> float:
        """What a day like the running one costs; 0 while unknown."""
        last, point = self.slots[-1], self._point
        if point is None:
            return 0.0
        last.limit(point.is_weekend, _STEPS - 1, 1.0, 1.0)
        return last.expected

    def add(self, point: Point, nanos: int, factor: float = 1.0) -> bool:
        """Add a cost; whether the day stands out now. `factor`: so many times the usual is planned for the day."""
        here = self._point
        if here is None or point.day_index != here.day_index:
            if here is not None and point.day_index < here.day_index:
                return False
            self._roll(point, factor)
        elif point.hour // _STEP_HOURS != here.hour // _STEP_HOURS and point.hour > here.hour:
            self._step(point, factor)
        self.sum_nanos += nanos
        if self.sum_nanos > self.limit:
            self.is_out = True
            return True
        return False

    def take_back(self, nanos: int) -> None:
        """Something that was added belongs to an episode of its own."""
        self.sum_nanos = max(0, self.sum_nanos - nanos)

    @property
    def above_nanos(self) -> int:
        """What the running day has cost above the expected."""
        return max(0, round(self.sum_nanos - self.expected))

    def release(self) -> None:
        """What was withheld turns out to be normal."""
        while self._withheld:
            self._learn(*self._withheld.popleft())

    def _step(self, point: Point, factor: float) -> None:
        """The day goes on: its cost so far is a mark, and the next part of the day is judged by its own limit."""
        place = point.hour // _STEP_HOURS
        self._marks += [self.sum_nanos] * (place - len(self._marks))
        self._point = point
        rules, limits = self._rules, self._rules.thresholds
        slots = self.slots[place]
        limit = slots.limit(point.is_weekend, place, rules.deviations(limits.day_deviations), limits.day_ratio)
        self._is_planned = self._is_planned or factor != 1.0
        self.expected = slots.expected * factor
        self.limit = limit * factor if self.count >= rules.min_history_days else math.inf

    def _roll(self, point: Point, factor: float) -> None:
        here = self._point
        if here is not None:
            marks = self._marks + [self.sum_nanos] * (_STEPS - len(self._marks))
            if self.is_out:
                self.excess_nanos += self.above_nanos
                self._withheld.append((here.is_weekend, marks))
            elif not self._is_planned:
                self._learn(here.is_weekend, marks)
            for day in range(here.day_index + 1, min(point.day_index, here.day_index + 29)):
                self._learn((day - 1) % 7 >= 5, [0] * _STEPS)
        self.sum_nanos, self.is_out, self._marks, self._is_planned = 0, False, [], False
        self._step(point, factor)

    def _learn(self, is_weekend: bool, marks: list[int]) -> None:
        self.count += 1
        for place, mark in enumerate(marks):
            self.slots[place].add(is_weekend, place, mark)
