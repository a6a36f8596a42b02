"""What a recorded model call used and cost: tokens as they were reported, prices of the policy, nothing made up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from runguard_core.errors import UnknownModelError
from runguard_core.guard import Rules
from runguard_core.prices import PriceBook, PriceOverride, Rates, flat_rates
from runguard_core.replay._recording import RecordedEvent
from runguard_core.usage import Usage

#: Stands for a model that was not recorded: it costs nothing, because nothing is known.
UNRECORDED_MODEL = "(not recorded)"
_FREE = flat_rates({}, model_id=UNRECORDED_MODEL, source="recording")


@dataclass(frozen=True, slots=True)
class Counting:
    """Models whose cached tokens, or reasoning tokens, were recorded beside the total instead of within it.

    A count that exceeds the total it should be part of proves it for its model in its recording (Anthropic's input without
    cache, Gemini's answer without thoughts); where nothing proves it the counts are taken to be inclusive.
    """

    cache_apart: frozenset[str | None] = frozenset()
    reasoning_apart: frozenset[str | None] = frozenset()


def counting_of(events: Iterable[RecordedEvent]) -> Counting:
    """How one recording counts."""
    cache, reasoning = set(), set()
    for event in events:
        if (event.cached_tokens or 0) + (event.cache_write_tokens or 0) > (event.input_tokens or 0):
            cache.add(event.model)
        if (event.reasoning_tokens or 0) > (event.output_tokens or 0):
            reasoning.add(event.model)
    return Counting(frozenset(cache), frozenset(reasoning))


def usage_of(event: RecordedEvent, counting: Counting) -> Usage | None:
    """The tokens of a model call under our names, totals inclusive; None when none were recorded."""
    if not event.has_tokens:
        return None
    cached, written = event.cached_tokens or 0, event.cache_write_tokens or 0
    reasoning = event.reasoning_tokens or 0
    return Usage(
        input_tokens=(event.input_tokens or 0) + (cached + written if event.model in counting.cache_apart else 0),
        output_tokens=(event.output_tokens or 0) + (reasoning if event.model in counting.reasoning_apart else 0),
        cache_read_input_tokens=cached,
        cache_creation_input_tokens=written,
        reasoning_output_tokens=reasoning,
    )


@dataclass(slots=True)
class RecordedPrices(PriceBook):
    """The policy's prices for recorded calls: a model that was not recorded is free, and so is one without a price where the
    recording says what it cost. Names without a price are looked for once.

    Attributes:
        book: the policy's prices; as_recorded: models whose recorded cost holds.
    """

    book: PriceBook
    as_recorded: frozenset[str] = frozenset()
    missing: dict[tuple[str, str | None], UnknownModelError] = field(default_factory=dict)

    def rates(self, model: str, provider: str | None, at: datetime) -> Rates:
        """See `PriceBook.rates`."""
        if model == UNRECORDED_MODEL:
            return _FREE
        found = self.known(model, provider, at)
        if found is None and model in self.as_recorded:
            return _FREE
        if found is None:
            raise self.missing[model, provider]
        return found

    def override(self, model: str) -> PriceOverride | None:
        """See `PriceBook.override`."""
        return self.book.override(model)

    def known(self, model: str, provider: str | None, at: datetime) -> Rates | None:
        """The policy's or the list's rates; None when there are none."""
        if (model, provider) in self.missing:
            return None
        try:
            return self.book.rates(model, provider, at)
        except UnknownModelError as error:
            self.missing[model, provider] = error
            return None


def recorded_prices(rules: Rules) -> RecordedPrices:
    """The prices of a policy for recorded calls; rules that have them already keep them, with what they have found missing."""
    return rules.prices if isinstance(rules.prices, RecordedPrices) else RecordedPrices(rules.prices)


def cost_of(event: RecordedEvent, usage: Usage | None, prices: RecordedPrices, at: datetime) -> int | None:
    """What a model call cost, nano-USD; None when nobody can say.

    What RunGuard's own ledger charged holds. Else it is priced from its tokens where they and a price are known, else it is
    what was recorded as its cost.
    """
    if not event.is_charged and usage is not None and event.model is not None and usage.total_tokens:
        rates = prices.known(event.model, event.provider, at)
        if rates is not None:
            return rates.charge(usage)
    return event.cost_nanos
