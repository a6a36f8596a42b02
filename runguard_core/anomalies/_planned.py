"""Spend that is planned: windows in which a feature may cost a multiple of what is usual."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class PlannedSpend(NamedTuple):
    """A window.

    Attributes:
        feature: whose; None: everybody's.
        start_seconds, end_seconds: first instant and first instant after, seconds since 1970 UTC.
        factor: what is usual times this is expected.
    """

    feature: str | None
    start_seconds: float
    end_seconds: float
    factor: float


def planned_factor(planned: Iterable[PlannedSpend], feature: str, at_seconds: float) -> float:
    """How many times the usual is expected of a feature at an instant: 1 outside of every window, else the largest factor."""
    factors = [
        one.factor for one in planned if one.start_seconds <= at_seconds < one.end_seconds and one.feature in {None, feature}
    ]
    return max(factors, default=1.0)
