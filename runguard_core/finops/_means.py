"""Means of what sessions cost, and how sure they are: closed forms over exact sums, no drawing of samples, no tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Moments:
    """Costs of sessions as three exact numbers: how many, their sum and the sum of their squares (nano-USD)."""

    count: int = 0
    nanos: int = 0
    squares: int = 0

    @classmethod
    def of(cls, costs: Sequence[int]) -> Moments:
        """Of costs in nano-USD."""
        return cls(len(costs), sum(costs), sum(cost * cost for cost in costs))

    def plus(self, nanos: int) -> Moments:
        """With one session more."""
        return Moments(self.count + 1, self.nanos + nanos, self.squares + nanos * nanos)

    @property
    def mean(self) -> Fraction:
        """Nano-USD a session; 0 of none."""
        return Fraction(self.nanos, self.count) if self.count else Fraction(0)

    @property
    def error(self) -> Fraction:
        """Square of the mean's standard error (also what a jackknife gives); 0 of fewer than two."""
        if self.count < 2:
            return Fraction(0)
        spread = self.squares - Fraction(self.nanos * self.nanos, self.count)
        return spread / (self.count - 1) / self.count


def half_width(parts: Iterable[tuple[float, int]], confidence_ratio: float) -> int:
    """Half of the two-sided interval around a sum or difference of means (Welch), rounded up; 0 where nothing varies.

    Args:
        parts: (variance, count) of each mean; degrees of freedom are Satterthwaite's. Sessions are taken as independent.
    """
    known = [(variance, count) for variance, count in parts if count > 1]
    whole = sum(variance for variance, _ in known)
    if not whole:
        return 0
    freedom = whole**2 / sum(variance**2 / (count - 1) for variance, count in known)
    return math.ceil(t_quantile(freedom, confidence_ratio) * math.sqrt(whole))


def t_quantile(freedom: float, confidence_ratio: float) -> float:
    """The two-sided quantile of Student's t (Abramowitz and Stegun 26.7.5), within 0.01 from four degrees of freedom on."""
    z, n = NormalDist().inv_cdf((1 + confidence_ratio) / 2), max(freedom, 1.0)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3
