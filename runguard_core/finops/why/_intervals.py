"""How far the means of what sessions cost are apart, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.finops._means import Moments, half_width

#: With fewer sessions on either side nothing is said of a difference.
LEAST_SESSIONS = 20
#: How often an interval holds the truth.
CONFIDENCE_RATIO = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference of two means in nano-USD, and between what it lies with 95 % confidence (Welch)."""

    nanos: int
    low: int
    high: int

    @property
    def is_sure(self) -> bool:
        """Whether nothing lies outside of the interval: the means differ."""
        return self.low > 0 or self.high < 0


def difference(before: Moments, after: Moments) -> Interval:
    """After less before; of fewer than two sessions on a side the interval is that of the other alone."""
    nanos = round(after.mean - before.mean)
    half = half_width([(float(side.error), side.count) for side in (before, after)], CONFIDENCE_RATIO)
    return Interval(nanos, nanos - half, nanos + half)
