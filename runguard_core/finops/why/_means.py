"""The mean of what sessions cost, and how far two means are apart: closed forms over exact sums, no drawing of samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

#: With fewer sessions on either side nothing is said of a difference.
LEAST_SESSIONS = 20
#: Half of what lies outside of a 95 % interval lies above this many standard errors (normal distribution).
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums of what sessions cost: count, nano-USD, squares of nano-USD."""

    count: int = 0
    total: int = 0
    squares: int = 0

    def plus(self, nanos: int) -> Moments:
        """With one session more."""
        return Moments(self.count + 1, self.total + nanos, self.squares + nanos * nanos)

    @property
    def mean(self) -> Fraction:
        """Nano-USD a session; 0 of none."""
        return Fraction(self.total, self.count) if self.count else Fraction(0)

    @property
    def error(self) -> Fraction:
        """Square of the mean's standard error (also what a jackknife gives); 0 of fewer than two."""
        if self.count < 2:
            return Fraction(0)
        spread = self.squares - Fraction(self.total * self.total, self.count)
        return spread / (self.count - 1) / self.count


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
    half = math.ceil(_t(_freedom(before, after)) * math.sqrt(before.error + after.error))
    return Interval(nanos, nanos - half, nanos + half)


def _freedom(before: Moments, after: Moments) -> float:
    """Degrees of freedom by Welch and Satterthwaite."""
    each = sum(side.error**2 / (side.count - 1) for side in (before, after) if side.count > 1)
    return float((before.error + after.error) ** 2 / each) if each else math.inf


def _t(freedom: float) -> float:
    """The 97.5 % point of Student's t by the expansion of Cornish and Fisher; within 0.01 of it from 4 degrees on."""
    z, n = _Z, max(freedom, 1.0)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3
