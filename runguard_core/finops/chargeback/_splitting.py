"""Whole nano-USD split by weights: the parts add up exactly (largest remainder), and so do their ratios."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

#: Ratios have so many digits: enough that no nano-USD of a million dollars is told apart by them.
_RATIO_DIGITS = 15


def split(nanos: int, weights: Sequence[int]) -> list[int]:
    """Parts of an amount, proportional to weights of zero or more, not all zero.

    Every part is its exact share rounded down or up; what is left goes to the largest remainders, of equal ones to the first.
    A negative amount is split like its opposite.
    """
    if nanos < 0:
        return [-part for part in split(-nanos, weights)]
    whole = sum(weights)
    parts = [nanos * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(nanos * weights[place] % whole), place))
    for place in by_remainder[: nanos - sum(parts)]:
        parts[place] += 1
    return parts


def ratios(weights: Sequence[int]) -> list[Decimal]:
    """Shares of weights as decimals that sum to exactly 1."""
    return [Decimal(part).scaleb(-_RATIO_DIGITS) for part in split(10**_RATIO_DIGITS, weights)]
