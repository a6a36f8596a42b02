"""Money as whole nano-USD (1 USD = 10**9), never as floats.

At the edge amounts are `Decimal` or `str`; inside they are `int` in 0 .. 2**62. In JSON they travel as strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from fractions import Fraction

from runguard_core.errors import InvalidAmountError

NANOS_PER_USD = 10**9
MAX_AMOUNT = 2**62
_WANTED = "whole nano-USD between 0 and 2**62"


def check_amount(amount: object) -> int:
    """Return `amount` if it is an `int` (no bool) in 0 .. 2**62.

    Raises:
        InvalidAmountError: it is anything else.
    """
    if type(amount) is not int or not 0 <= amount <= MAX_AMOUNT:
        raise InvalidAmountError(amount, _WANTED)
    return amount


def to_decimal(value: object) -> Decimal:
    """A finite, non-negative `Decimal` from str, int, Decimal or float (by its shortest text).

    Raises:
        InvalidAmountError: NaN, infinite, negative, a bool, or no number at all.
    """
    wanted = "a finite number, zero or more"
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise InvalidAmountError(value, wanted)
    try:
        number = Decimal(str(value).strip().replace("_", ""))
    except InvalidOperation:
        raise InvalidAmountError(value, wanted) from None
    if not number.is_finite() or number < 0:
        raise InvalidAmountError(value, wanted)
    return number


def usd_to_nanos(value: object) -> int:
    """USD (str, int, Decimal or float; "$" allowed in front) to whole nano-USD, half to even.

    Raises:
        InvalidAmountError: not an amount, above 2**62 nano-USD (about 4.6 billion USD), or so small that it would be none.
    """
    number = to_decimal(value.strip().removeprefix("$") if isinstance(value, str) else value)
    if number > MAX_AMOUNT // NANOS_PER_USD + 1 or (nanos := _rounded(number)) > MAX_AMOUNT:
        raise InvalidAmountError(value, "at most 4611686018.427387904 USD")
    if number and not nanos:
        raise InvalidAmountError(value, "a nano-USD or more, or nothing")
    return nanos


def _rounded(usd: Decimal) -> int:
    return int((usd * NANOS_PER_USD).to_integral_value(rounding=ROUND_HALF_EVEN))


def nanos_to_usd(nanos: int) -> Decimal:
    """Whole nano-USD to USD, exact."""
    return Decimal(nanos) / NANOS_PER_USD if nanos % NANOS_PER_USD else Decimal(nanos // NANOS_PER_USD)


def usd_text(nanos: int) -> str:
    """Whole nano-USD to USD as JSON carries it: exact, no exponent."""
    return f"{nanos_to_usd(nanos):f}"


def format_usd(nanos: int) -> str:
    """For people: "$12.34", "$0.0123", "$0.000001"; four significant digits below a cent, never "$0" for a positive amount."""
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if nanos == 0 or (nanos >= NANOS_PER_USD // 100 and nanos % (NANOS_PER_USD // 100) == 0) or nanos >= 10 * NANOS_PER_USD:
        return f"{sign}${Decimal(nanos) / NANOS_PER_USD:,.2f}"
    if nanos >= NANOS_PER_USD // 100:
        return f"{sign}${Decimal(nanos) / NANOS_PER_USD:,.4f}"
    return f"{sign}${(Decimal(nanos) / NANOS_PER_USD).normalize():f}" if nanos < 1000 else f"{sign}${_short(nanos)}"


def _short(nanos: int) -> str:
    """Below a cent: at least four significant digits, trailing zeros dropped."""
    usd = Decimal(nanos) / NANOS_PER_USD
    places = min(9, 3 - usd.adjusted())
    return f"{round(usd, places):f}".rstrip("0")


def brief_usd(nanos: int) -> str:
    """For tables that are read, not added up: whole dollars from 100, cents from ten cents, below two significant digits."""
    usd = abs(nanos) / NANOS_PER_USD
    text = f"{usd:,.0f}" if usd >= 100 else f"{usd:.2f}" if usd >= 0.1 else f"{_short_of(usd)}"
    return f"{'-' if nanos < 0 else ''}${text}"


def _short_of(usd: float) -> str:
    return f"{Decimal(f'{usd:.1e}'):f}" if usd else "0"


def split(nanos: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of an amount, proportional to weights of zero or more; they add up to it exactly.

    Every part is its exact share rounded down or up; see `whole_parts`. A negative amount is split like its opposite. Without
    any weight all of it is the first one's.
    """
    if nanos < 0:
        return [-part for part in split(-nanos, weights)]
    whole = sum(weights)
    if not whole:
        return [nanos, *[0] * (len(weights) - 1)]
    return whole_parts([Fraction(nanos * weight, whole) for weight in weights], nanos)


def whole_parts(parts: Sequence[Fraction], total: int) -> list[int]:
    """Whole numbers that add up to `total`, as the parts do: each rounded down, the largest remainders (then the first) up."""
    floors = [part.numerator // part.denominator for part in parts]
    order = sorted(range(len(parts)), key=lambda at: (floors[at] - parts[at], at))
    for at in order[: total - sum(floors)]:
        floors[at] += 1
    return floors


def ceil_div(numerator: int, denominator: int) -> int:
    """Division rounded up; both whole, the denominator positive."""
    return -(-numerator // denominator)
