"""A call's tokens in classes that do not overlap, each with its own price: what one line of a bill is about.

Providers report inclusive counts, and a price table has one coefficient per reported count (see `prices`). A token of a class is
counted in several reports (a cached audio token in four), so its price is the sum of their coefficients; the classes' tokens
times their prices are the table's total exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from runguard_core.money import NANOS_PER_USD
from runguard_core.prices import Rates, RateTable, consistent
from runguard_core.usage import USAGE_FIELDS, Usage


class TokenClass(StrEnum):
    """What is counted and billed apart; WHOLE is a charge that is known as a sum only."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_1H = "cache_write_1h"
    INPUT_AUDIO = "input_audio"
    CACHE_READ_AUDIO = "cache_read_audio"
    INPUT_IMAGE = "input_image"
    OUTPUT = "output"
    REASONING = "reasoning"
    OUTPUT_AUDIO = "output_audio"
    OUTPUT_IMAGE = "output_image"
    WEB_SEARCH = "web_search"
    REQUEST = "request"
    WHOLE = "whole"

    @property
    def counts_tokens(self) -> bool:
        """Whether it is counted in tokens, and priced by the million."""
        return self not in {TokenClass.WEB_SEARCH, TokenClass.REQUEST, TokenClass.WHOLE}


_C = TokenClass
#: Which reported counts a token (or search) of a class is counted in; its price is the sum of their coefficients.
_COUNTED_IN: dict[TokenClass, tuple[str, ...]] = {
    _C.INPUT: ("input_tokens",),
    _C.CACHE_READ: ("input_tokens", "cache_read_input_tokens"),
    _C.CACHE_WRITE_5M: ("input_tokens", "cache_creation_input_tokens"),
    _C.CACHE_WRITE_1H: ("input_tokens", "cache_creation_input_tokens", "cache_creation_1h_input_tokens"),
    _C.INPUT_AUDIO: ("input_tokens", "input_audio_tokens"),
    _C.CACHE_READ_AUDIO: ("input_tokens", "cache_read_input_tokens", "input_audio_tokens", "cache_audio_read_tokens"),
    _C.INPUT_IMAGE: ("input_tokens", "input_image_tokens"),
    _C.OUTPUT: ("output_tokens",),
    _C.REASONING: ("output_tokens", "reasoning_output_tokens"),
    _C.OUTPUT_AUDIO: ("output_tokens", "output_audio_tokens"),
    _C.OUTPUT_IMAGE: ("output_tokens", "output_image_tokens"),
    _C.WEB_SEARCH: ("web_search_count",),
}
_PLACES = {kind: tuple([USAGE_FIELDS.index(name) for name in names]) for kind, names in _COUNTED_IN.items()}


def class_counts(usage: Usage) -> dict[TokenClass, int]:
    """Tokens (and searches) by class, those of none left out; they add up to the totals as these are charged.

    Where special tokens that may overlap (images that were cached) exceed the total, the plain class is 0.
    """
    usage = consistent(usage)
    audio_read = usage.cache_audio_read_tokens
    hour = min(usage.cache_creation_1h_input_tokens, usage.cache_creation_input_tokens)
    found = {
        _C.CACHE_READ: max(0, usage.cache_read_input_tokens - audio_read),
        _C.CACHE_WRITE_5M: usage.cache_creation_input_tokens - hour,
        _C.CACHE_WRITE_1H: hour,
        _C.INPUT_AUDIO: max(0, usage.input_audio_tokens - audio_read),
        _C.CACHE_READ_AUDIO: audio_read,
        _C.INPUT_IMAGE: usage.input_image_tokens,
    }
    answer = {
        _C.REASONING: usage.reasoning_output_tokens,
        _C.OUTPUT_AUDIO: usage.output_audio_tokens,
        _C.OUTPUT_IMAGE: usage.output_image_tokens,
    }
    plain = {
        _C.INPUT: max(0, usage.input_tokens - sum(found.values())),
        _C.OUTPUT: max(0, usage.output_tokens - sum(answer.values())),
    }
    found |= {**answer, **plain, _C.WEB_SEARCH: usage.web_search_count}
    return {kind: found[kind] for kind in _PLACES if found[kind]}


@dataclass(frozen=True, slots=True)
class PriceRow:
    """The table of a call: at which tier of service, None for the ordinary one.

    Attributes:
        table: its prices; is_charged: whether these tokens at these prices are what was charged.
    """

    tier: str | None
    table: RateTable
    is_charged: bool


def price_row(rates: Rates, usage: Usage, cost_nanos: int) -> PriceRow:
    """The table that a charge was worked out with: the ledger keeps no service tier, but the charge says which it was.

    Where none gives that charge (the provider's own price, a price that has changed since, a quote after a crash) the ordinary
    one stands, and says that it is not what was charged.
    """
    for tier, its in ((None, rates), *sorted(rates.by_service_tier.items())):
        if its.charge(usage) == cost_nanos:
            return PriceRow(tier, its.table(consistent(usage).input_tokens), True)
    return PriceRow(None, rates.table(consistent(usage).input_tokens), False)


def coefficient(table: RateTable, kind: TokenClass) -> int:
    """What one of a class costs, in nano-USD times a million times the table's scale."""
    if kind is _C.REQUEST:
        return table.per_request
    return max(0, sum(table.coefficients[place] for place in _PLACES[kind]))


def unit_price(table: RateTable, kind: TokenClass) -> Decimal:
    """USD per million tokens, per search or per request; exact."""
    per = NANOS_PER_USD if kind.counts_tokens else NANOS_PER_USD * 10**6
    return Decimal(coefficient(table, kind)) / (per * table.scale)
