"""Where spend goes: compound and linear growth side by side, each with a band, and when a budget is outgrown.

Both are straight lines through whole windows (weeks or months) numbered 0 .. n-1. *Linear* fits the amounts: the same dollars
more each window. *Compound* fits their logarithms: the same per cent more each window. The slope is the median of the slopes
between all pairs, the height the median of what is left (Theil and Sen), so that one window with an incident in it does not bend
the line. The band is the 80 % prediction interval for one further window, forecast +- t x s x sqrt(1 + 1/n + (x - mean)^2 / Sxx),
with Student's t of n - 2 degrees of freedom and s the spread of the residuals, incidents included; that of the compound
forecast is worked out on logarithms, so it is not symmetric. It needs three windows. It speaks of noise around steady growth,
not of changes to come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

#: Student's t at 0.90 (two-sided 80 %) by degrees of freedom 1 to 30; above, the normal value is within two per cent.
_T_90 = (
    3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356, 1.350, 1.345, 1.341,
    1.337, 1.333, 1.330, 1.328, 1.325, 1.323, 1.321, 1.319, 1.318, 1.316, 1.315, 1.314, 1.313, 1.311, 1.310,
)  # fmt: skip
_Z_90 = 1.282
#: No amount can be larger than an account holds.
_MOST = 2.0**62


class Growth(StrEnum):
    """How spend is taken to grow."""

    COMPOUND = "compound"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A forecast of one window, nano-USD; `low` and `high` are None where fewer than three windows are known."""

    nanos: int
    low_nanos: int | None
    high_nanos: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One kind of growth fitted to a series.

    Attributes:
        growth: which. step_ratio: compound: growth per window (0.3 is 30 %). step_nanos: linear: nano-USD more each window.
        points: the windows after the last known one. error_nanos: root of the mean squared residual, on dollars.
    """

    growth: Growth
    step_ratio: float | None
    step_nanos: int | None
    points: tuple[Point, ...]
    error_nanos: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Both kinds for a series.

    Attributes:
        count: windows it is fitted to. linear, compound: None with fewer than two windows; no compound growth where a window
            after the first spend was without any.
        better: the kind with the smaller residuals, on dollars; linear where they are the same.
    """

    count: int
    linear: Line | None
    compound: Line | None

    @property
    def better(self) -> Line | None:
        """The kind that the past fits better."""
        if self.compound is None or self.linear is None:
            return self.linear
        return self.compound if self.compound.error_nanos < self.linear.error_nanos else self.linear


def forecast(series: Sequence[int], ahead: int) -> Forecast:
    """Fit both kinds.

    Args:
        series: nano-USD of whole windows, in order; what lies before the first spend is left out.
        ahead: how many windows to forecast.
    """
    start = next((place for place, nanos in enumerate(series) if nanos > 0), len(series))
    known = list(series[start:])
    if len(known) < 2:
        return Forecast(count=len(known), linear=None, compound=None)
    fit = _Fit.of([float(nanos) for nanos in known])
    linear = _line(Growth.LINEAR, fit, known, ahead, lambda value: value)
    compound = None
    if min(known) > 0:
        on_logs = _Fit.of([math.log(nanos) for nanos in known])
        compound = _line(Growth.COMPOUND, on_logs, known, ahead, lambda value: math.exp(min(value, math.log(_MOST))))
    return Forecast(count=len(known), linear=linear, compound=compound)


def projected(start_nanos: int, step_ratio: float, ahead: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A start and a rate without a past: (compound, linear), nano-USD of windows 1 to `ahead`.

    $800 that grow by 30 % are $3,861 after six windows compounded, and $2,240 where each adds what the first did.
    """
    steps = range(1, ahead + 1)
    compound = tuple(_amount(start_nanos * (1 + step_ratio) ** step) for step in steps)
    return compound, tuple(_amount(start_nanos * (1 + step_ratio * step)) for step in steps)


def outgrows(points: Sequence[Point], limits: Sequence[int], side: str = "nanos") -> int | None:
    """The place of the first window whose forecast passes its limit; `side` may be "high_nanos": of the band."""
    for place, (point, limit) in enumerate(zip(points, limits, strict=True)):
        value = getattr(point, side)
        if value is not None and value > limit:
            return place
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """A straight line through values numbered from 0."""

    count: int
    height: float
    slope: float
    spread: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> _Fit:
        count = len(values)
        slope = median((values[b] - values[a]) / (b - a) for a in range(count) for b in range(a + 1, count))
        height = median(value - slope * x for x, value in enumerate(values))
        left = math.fsum((value - height - slope * x) ** 2 for x, value in enumerate(values))
        return cls(count=count, height=height, slope=slope, spread=math.sqrt(left / (count - 2)) if count > 2 else None)

    def at(self, x: float) -> float:
        return self.height + self.slope * x

    def half_band(self, x: float) -> float | None:
        """Half the 80 % prediction interval of one value at x."""
        if self.spread is None:
            return None
        freedom, mean = self.count - 2, (self.count - 1) / 2
        width = self.count * (self.count**2 - 1) / 12  # the sum of squared distances from the mean of 0 .. n-1
        t = _T_90[freedom - 1] if freedom <= len(_T_90) else _Z_90
        return t * self.spread * math.sqrt(1 + 1 / self.count + (x - mean) ** 2 / width)


def _line(growth: Growth, fit: _Fit, known: Sequence[int], ahead: int, back: Callable[[float], float]) -> Line:
    points = []
    for x in range(fit.count, fit.count + ahead):
        middle, half = fit.at(x), fit.half_band(x)
        low = None if half is None else _amount(back(middle - half))
        high = None if half is None else _amount(back(middle + half))
        points.append(Point(nanos=_amount(back(middle)), low_nanos=low, high_nanos=high))
    residuals = [nanos - back(fit.at(x)) for x, nanos in enumerate(known)]
    is_compound = growth is Growth.COMPOUND
    return Line(
        growth=growth, points=tuple(points), step_ratio=math.exp(min(fit.slope, 700.0)) - 1 if is_compound else None,
        step_nanos=None if is_compound else round(fit.slope),
        error_nanos=math.sqrt(math.fsum(one * one for one in residuals) / len(known)),
    )  # fmt: skip


def _amount(value: float) -> int:
    """Nano-USD: no less than nothing, no more than an account holds."""
    return round(min(max(value, 0.0), _MOST))
