"""Amounts as providers write them: a literal and its unit, exactly, so that cents and dollars cannot be mixed up."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from enum import Enum

from runguard_core.errors import RunguardError
from runguard_core.values import value

_MOST_USD = Decimal(10) ** 10


class BillError(RunguardError):
    """A bill that cannot be read.

    Attributes:
        place: the file, and where in it. expected: what should stand there.
    """

    def __init__(self, place: str, expected: str) -> None:
        """Keep where the mistake is and what was expected."""
        self.place, self.expected = place, expected
        super().__init__(f"{place}: {expected}")


class Unit(Enum):
    """What a bill's numbers count, in nano-USD."""

    DOLLARS = 10**9
    CENTS = 10**7


@value()
class Amount:
    """Money on a bill.

    Attributes:
        nanos: nano-USD, half to even; negative for a credit.
        slack_nanos: half of the literal's last place, at most half a cent: what may have been rounded away before it was written.
    """

    nanos: int
    slack_nanos: int

    @classmethod
    def read(cls, literal: object, unit: Unit, place: str) -> Amount:
        """From a number as it stands in the file (`Decimal` of its text, or a string; an `int` is one, too).

        Raises:
            BillError: a float (its text is gone), a bool, NaN, text that is no number, more than ten billion dollars.
        """
        wanted = f"expected an amount in {unit.name.lower()}"
        if isinstance(literal, bool) or not isinstance(literal, (str, int, Decimal)):
            raise BillError(place, f"{wanted}, got {type(literal).__name__}")
        try:
            number = Decimal(literal)
        except InvalidOperation:
            raise BillError(place, f"{wanted}, got {literal!r:.40}") from None
        if not number.is_finite() or abs(number * unit.value) > _MOST_USD * Unit.DOLLARS.value:
            raise BillError(place, f"{wanted}, got {literal!r:.40}")
        exponent = number.as_tuple().exponent
        places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
        half = Decimal(unit.value).scaleb(-places) / 2
        nanos = int((number * unit.value).to_integral_value(rounding=ROUND_HALF_EVEN))
        return cls(nanos, min(max(1, int(half)), Unit.CENTS.value // 2) if places else 0)
