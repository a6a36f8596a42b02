"""Limits as people write them: "0.50 USD", "200k tokens", "40 turns", "10m"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from runguard_core.errors import InvalidAmountError, PolicyError
from runguard_core.ledger import Unit
from runguard_core.money import MAX_AMOUNT, usd_to_nanos

_EXPECTED = 'a limit such as "0.50 USD", "200k tokens", "30 calls", "40 turns", "12 tool calls" or "10m"'
_NUMBER = re.compile(r"^\s*\$?\s*([0-9][0-9_,]*(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z$ _]*?)\s*$")
_MULTIPLIERS = {"k": 10**3, "m": 10**6, "g": 10**9}
_COUNTED = {
    "token": Unit.TOKENS, "tokens": Unit.TOKENS,
    "call": Unit.CALLS, "calls": Unit.CALLS,
    "turn": Unit.TURNS, "turns": Unit.TURNS,
    "tool call": Unit.TOOL_CALLS, "tool calls": Unit.TOOL_CALLS, "tool_calls": Unit.TOOL_CALLS,
}  # fmt: skip
_SECONDS: dict[str, Decimal | int] = {
    "ms": Decimal("0.001"), "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60,
    "minutes": 60, "h": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limit:
    """An amount of a unit, in the unit's smallest part."""

    amount: int
    unit: Unit

    def __str__(self) -> str:
        """As a person would write it."""
        return show_amount(self.amount, self.unit)


def show_amount(amount: int, unit: Unit) -> str:
    """For people: "0.50 USD", "40 turns", "600 seconds"."""
    return f"{in_units(amount, unit):,f} {unit.value}"


def in_units(amount: int, unit: Unit) -> Decimal:
    """Smallest parts to whole units, exact and without needless zeros; USD keeps two places."""
    number = Decimal(amount) / unit.scale
    short = number.normalize()
    exponent = short.as_tuple().exponent
    least = 2 if unit is Unit.USD else 0
    return short if isinstance(exponent, int) and -exponent > least else number.quantize(Decimal(1).scaleb(-least))


def parse_limit(value: object, *, key: str = "limit") -> Limit:
    """A limit from text, or a bare number as USD.

    Raises:
        PolicyError: naming `key` and what was expected.
    """
    try:
        if isinstance(value, Limit):
            return value
        if not isinstance(value, str):
            return _checked(Limit(usd_to_nanos(value), Unit.USD), key, value)
        return _checked(_parse_text(value), key, value)
    except (InvalidAmountError, InvalidOperation):
        raise PolicyError(key=key, expected=f"expected {_EXPECTED}, got {value!r:.80}") from None


def _checked(limit: Limit, key: str, value: object) -> Limit:
    if limit.amount > MAX_AMOUNT:
        raise PolicyError(key=key, expected=f"{value!r:.80} is too large")
    return limit


def _parse_text(text: str) -> Limit:
    found = _NUMBER.match(text)
    if found is None:
        raise InvalidAmountError(text, _EXPECTED)
    number, word = Decimal(found[1].replace(",", "").replace("_", "")), found[2].lower().strip()
    if word in {"", "usd", "$", "dollar", "dollars"}:
        return Limit(usd_to_nanos(number), Unit.USD)
    if word in _SECONDS:
        return Limit(_whole(number * _SECONDS[word] * 1000, text), Unit.SECONDS)
    multiplier, _, counted = word.partition(" ")
    if multiplier in _MULTIPLIERS and counted in _COUNTED:
        return Limit(_whole(number * _MULTIPLIERS[multiplier], text), _COUNTED[counted])
    if word in _COUNTED:
        return Limit(_whole(number, text), _COUNTED[word])
    raise InvalidAmountError(text, _EXPECTED)


def _whole(number: Decimal, text: str) -> int:
    if number != number.to_integral_value():
        raise InvalidAmountError(text, "a whole number of that unit")
    return int(number)


def parse_share(value: object, limit: Limit, *, key: str) -> int:
    """A share ("2 %") of a limit, or an amount in the same unit, as smallest parts (rounded down)."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = Decimal(value.strip()[:-1].strip()) / 100
        except InvalidOperation:
            share = Decimal(-1)
        if not share.is_finite() or not 0 <= share < 1:
            raise PolicyError(key=key, expected=f'expected a share such as "2 %", got {value!r:.80}')
        return int(share * limit.amount)
    part = parse_limit(value, key=key)
    if part.unit is not limit.unit or part.amount >= limit.amount:
        raise PolicyError(key=key, expected=f"expected less than {limit}, in {limit.unit.value}, got {value!r:.80}")
    return part.amount
