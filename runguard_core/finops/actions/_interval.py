"""A mean's difference with an interval (Welch), scaled to a number of sessions; closed forms, no dice, no tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist

#: How often an interval holds the truth.
CONFIDENCE_RATIO = 0.9
#: Fewer sessions than this on one side say nothing of their spread.
LEAST_SESSIONS = 10
#: t is had from the normal quantile by a series; below so many degrees of freedom it is not exact enough.
_LEAST_FREEDOM = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Costs of sessions as three exact numbers: how many, their sum and the sum of their squares (nano-USD)."""

    count: int
    nanos: int
    squares: int

    @classmethod
    def of(cls, costs: Sequence[int]) -> Sample:
        """Of costs in nano-USD."""
        return cls(len(costs), sum(costs), sum(cost * cost for cost in costs))

    @property
    def mean_nanos(self) -> int | None:
        """Cost per session, to the nearest nano-USD."""
        return round(Fraction(self.nanos, self.count)) if self.count else None

    @property
    def variance_of_mean(self) -> float:
        """Squared standard error of the mean; two costs at least."""
        spread = Fraction(self.squares) - Fraction(self.nanos * self.nanos, self.count)
        return float(spread / (self.count - 1) / self.count)


def saved_nanos(before: Sample, after: Sample) -> int:
    """Cost per session before x sessions after - what they cost, to the nearest nano-USD; `before` is not empty."""
    return round(Fraction(before.nanos * after.count, before.count)) - after.nanos


def half_width_nanos(pairs: Iterable[tuple[Sample, Sample]]) -> int | None:
    """Half of the interval around the sum of what pairs (before, after) saved; None of too few sessions.

    Welch: variances of the means, each times the square of the sessions after, added up; degrees of freedom by Satterthwaite.
    Sessions are taken as independent of each other.
    """
    parts: list[tuple[float, int]] = []
    for before, after in pairs:
        if min(before.count, after.count) < LEAST_SESSIONS:
            return None
        scale = float(after.count) ** 2
        parts += [(scale * side.variance_of_mean, side.count) for side in (before, after)]
    whole = sum(variance for variance, _ in parts)
    if not parts or whole == 0:
        return 0 if parts else None
    freedom = whole**2 / sum(variance**2 / (count - 1) for variance, count in parts)
    return math.ceil(t_quantile(freedom) * math.sqrt(whole))


def t_quantile(freedom: float) -> float:
    """The two-sided quantile of Student's t (Abramowitz and Stegun 26.7.5), to three digits from five degrees of freedom on."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE_RATIO) / 2)
    n = max(freedom, _LEAST_FREEDOM)
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
