"""Shares of weights as decimals that add up to exactly 1; amounts are split by `money.split`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from runguard_core.money import split

#: Ratios have so many digits: enough that no nano-USD of a million dollars is told apart by them.
_RATIO_DIGITS = 15


def ratios(weights: Sequence[int]) -> list[Decimal]:
    """Shares of weights as decimals that sum to exactly 1."""
    return [Decimal(part).scaleb(-_RATIO_DIGITS) for part in split(10**_RATIO_DIGITS, weights)]
