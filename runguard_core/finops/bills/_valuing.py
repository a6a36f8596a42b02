"""What tokens are worth at the price list, so that a difference in tokens is known in money before prices are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from fractions import Fraction

from runguard_core.errors import UnknownModelError
from runguard_core.finops.bills._books import BookRow
from runguard_core.finops.bills._lines import PLACES, TokenClass
from runguard_core.prices import PriceBook, Rates, RateTable

_PER_MILLION = 10**6


@dataclass(slots=True)
class Valuer:
    """Prices of one provider.

    Attributes:
        book: the policy's prices. provider: of the bill, None for several.
    """

    book: PriceBook
    provider: str | None
    _known: dict[tuple[str, date], Rates | None] = field(default_factory=dict)

    def rates(self, model: str | None, day: date) -> Rates | None:
        """Of a model at noon of a day; None without a price."""
        if model is None:
            return None
        if (model, day) not in self._known:
            try:
                found = self.book.rates(model, self.provider, datetime.combine(day, time(12), UTC))
            except UnknownModelError:
                found = None
            self._known[model, day] = found
        return self._known[model, day]

    def worth(self, model: str | None, day: date, tokens: Mapping[TokenClass, int], row: BookRow) -> int | None:
        """Nano-USD of tokens (also fewer than none), half to even; None where nothing says what they cost.

        A prompt's length may make its tokens dearer: sums of many calls are worth what short prompts cost. Without a model or a
        price it is what a token of the ledger costs by the mean of that day.
        """
        rates = self.rates(model, day)
        if rates is not None:
            return round(sum((Fraction(count) * price(rates.base, kind) for kind, count in tokens.items()), Fraction(0)))
        counted = sum(row.tokens.values())
        return round(Fraction(row.nanos * sum(tokens.values()), counted)) if counted and row.nanos else None


def price(table: RateTable, kind: TokenClass) -> Fraction:
    """Nano-USD of one token of a class."""
    return Fraction(sum(table.coefficients[place] for place in PLACES[kind]), table.scale * _PER_MILLION)
