"""The latest values of a series with their median and a spread that outliers cannot drag."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

#: MAD to standard deviation, and the 90th percentile in standard deviations, of a normal distribution.
_MAD_SCALE = 1.4826
_P90_SCALE = 1.2816


class Window:
    """At most `max_count` values, oldest out first. Adding costs O(log n) searching and a short copy; memory is bounded."""

    __slots__ = ("_arrived", "_max_count", "_sorted")

    def __init__(self, max_count: int) -> None:
        """Empty."""
        self._arrived: deque[float] = deque()
        self._sorted: list[float] = []
        self._max_count = max_count

    def __len__(self) -> int:
        """How many values are held."""
        return len(self._sorted)

    def add(self, value: float) -> None:
        """Take a finite value in."""
        if len(self._arrived) == self._max_count:
            del self._sorted[bisect_left(self._sorted, self._arrived.popleft())]
        self._arrived.append(value)
        insort(self._sorted, value)

    def clear(self) -> None:
        """Forget everything."""
        self._arrived.clear()
        self._sorted.clear()

    def quantile(self, share: float) -> float:
        """The value below which `share` (0 to 1) of the values lie, interpolated; 0 when empty."""
        values = self._sorted
        if not values:
            return 0.0
        place = share * (len(values) - 1)
        low = int(place)
        high = min(low + 1, len(values) - 1)
        return values[low] + (values[high] - values[low]) * (place - low)

    @property
    def median(self) -> float:
        """The middle; 0 when empty."""
        return self.quantile(0.5)

    def spread(self, floor: float) -> float:
        """A robust standard deviation of the upper side, at least `floor`.

        The larger of MAD * 1.4826 and (P90 - median) / 1.2816: costs of sessions are skewed to the right on the log scale
        too, and MAD alone would call their ordinary tail an anomaly. The floor keeps equal values from making everything one.
        """
        if not self._sorted:
            return floor
        middle = self.median
        deviations = sorted([abs(value - middle) for value in self._sorted])
        mad = deviations[len(deviations) // 2] * _MAD_SCALE
        return max(mad, (self.quantile(0.9) - middle) / _P90_SCALE, floor)


class Level:
    """Positive amounts on the log scale, and the amount from which one of them stands out. Recomputed every few additions."""

    __slots__ = ("_limit", "_stale", "expected", "values")

    #: Spread below which values count as equal: about 5 % of the median.
    FLOOR = 0.05

    def __init__(self, max_count: int) -> None:
        """Empty."""
        self.values = Window(max_count)
        self._stale = 0
        self._limit = math.inf
        self.expected = 0.0

    def __len__(self) -> int:
        """How many amounts are held."""
        return len(self.values)

    def add(self, nanos: int) -> None:
        """Take an amount in; nothing and less is left out (it has no logarithm)."""
        if nanos > 0:
            self.values.add(math.log(nanos))
            self._stale -= 1

    def limit(self, deviations: float, reach: float, ratio: float) -> float:
        """The smallest amount that stands out: far above the median by spread or by tail, and so many times above it.

        Args:
            deviations: of the spread. reach: times the distance from the median to the 98th percentile: the tail of session
                costs is shorter than a log-normal's, and deviations alone would wait too long. ratio: to the median.
        """
        if self._stale <= 0:
            middle = self.values.median
            far = min(deviations * self.values.spread(self.FLOOR), reach * (self.values.quantile(0.98) - middle))
            step = max(far, 2 * self.FLOOR, math.log(ratio))
            self.expected = math.exp(middle)
            self._limit = math.exp(min(middle + step, 700.0))
            self._stale = max(2, len(self.values) // 10)
        return self._limit
