"""`Rates`: what the tokens of one model cost, compiled to integers.

A list price is a sum over disjoint parts (plain input, cache reads, cache writes, audio, ...), and each part is a
difference of the counts that a provider reports inclusively. Both are linear, so the whole price is one integer
coefficient per reported count, and one table of them per long-context tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runguard_core.money import MAX_AMOUNT
from runguard_core.usage import USAGE_FIELDS, Usage

#: Coefficients count nano-USD per million tokens, times the table's own scale where a price has more digits.
TOKENS_PER_PRICE = 10**6


@dataclass(frozen=True, slots=True)
class RateTable:
    """One coefficient per count of `Usage`, in the order of USAGE_FIELDS.

    Attributes:
        coefficients: nano-USD per million tokens, times `scale`.
        per_request: added once a call, in nano-USD times a million, times `scale`.
        scale: a power of ten, 1 unless a price has more than nine digits behind the point.
    """

    coefficients: tuple[int, ...]
    per_request: int = 0
    scale: int = 1

    def total(self, usage: Usage) -> int:
        """The charge in nano-USD, rounded up once; at most what an account can hold."""
        c = self.coefficients
        total = self.per_request + c[0] * usage.input_tokens + c[1] * usage.output_tokens
        if usage.cache_read_input_tokens:
            total += c[2] * usage.cache_read_input_tokens
        if usage.cache_creation_input_tokens:
            total += c[3] * usage.cache_creation_input_tokens + c[4] * usage.cache_creation_1h_input_tokens
        if usage.reasoning_output_tokens:
            total += c[5] * usage.reasoning_output_tokens
        if usage.input_audio_tokens or usage.output_audio_tokens:
            total += c[6] * usage.input_audio_tokens + c[7] * usage.cache_audio_read_tokens
            total += c[8] * usage.output_audio_tokens
        if usage.input_image_tokens or usage.output_image_tokens or usage.web_search_count:
            total += c[9] * usage.input_image_tokens + c[10] * usage.output_image_tokens + c[11] * usage.web_search_count
        return min(-(-total // (self.scale * TOKENS_PER_PRICE)), MAX_AMOUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Prices of one model at one time.

    Attributes:
        provider_id, model_id: where the price was found.
        source: "genai-prices VERSION" or "policy".
        base: the table that holds for short prompts.
        tiers: (start, table), ascending: the table that holds once the prompt has more than `start` tokens.
        by_service_tier: whole rates for "batch", "flex", "priority", ...
        context_window_tokens: most tokens of a prompt, None when unknown.
    """

    provider_id: str
    model_id: str
    source: str
    base: RateTable
    tiers: tuple[tuple[int, RateTable], ...] = ()
    by_service_tier: Mapping[str, Rates] = field(default_factory=dict)
    context_window_tokens: int | None = None

    def charge(self, usage: Usage, service_tier: str | None = None) -> int:
        """What these tokens cost, in nano-USD, rounded up once per call.

        Counts that contradict each other (more cache reads than input) are read as the larger total.
        """
        if service_tier is not None and self.by_service_tier:
            other = self.by_service_tier.get(service_tier)
            if other is not None:
                return other.charge(usage)
        special = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        if special > usage.input_tokens or usage.reasoning_output_tokens > usage.output_tokens:
            usage = consistent(usage)
        return (self.table(usage.input_tokens) if self.tiers else self.base).total(usage)

    def plain(self, input_tokens: int, output_tokens: int, service_tier: str | None = None) -> int:
        """What so many ordinary tokens cost, in nano-USD, rounded up once."""
        if service_tier is not None and service_tier in self.by_service_tier:
            return self.by_service_tier[service_tier].plain(input_tokens, output_tokens)
        table = self.table(input_tokens) if self.tiers else self.base
        total = table.per_request + table.coefficients[0] * input_tokens + table.coefficients[1] * output_tokens
        return min(-(-total // (table.scale * TOKENS_PER_PRICE)), MAX_AMOUNT)

    def table(self, input_tokens: int) -> RateTable:
        """The table that holds for a prompt of this size: crossing a tier's start reprices all tokens."""
        found = self.base
        for start, table in self.tiers:
            if input_tokens <= start:
                break
            found = table
        return found

    def dearest(self, field_name: str) -> int:
        """The highest price of a count over all tiers, in nano-USD per million tokens, rounded up."""
        index = USAGE_FIELDS.index(field_name)
        tables = (self.base, *(table for _, table in self.tiers))
        return max(-(-table.coefficients[index] // table.scale) for table in tables)

    def input_ceiling(self) -> int:
        """The most one prompt token can cost, however it is counted, in nano-USD per million tokens."""
        tables = (self.base, *(table for _, table in self.tiers))
        return max(-(-_worst_input(table.coefficients) // table.scale) for table in tables)


def _worst_input(c: tuple[int, ...]) -> int:
    """Plain, cache write (5 minutes, 1 hour) and audio tokens each carry the plain coefficient plus their own."""
    return max(c[0], c[0] + c[3], c[0] + c[3] + c[4], c[0] + c[6], c[0] + c[2], c[0] + c[9])


def consistent(usage: Usage) -> Usage:
    """Totals raised to what their parts add up to."""
    special = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    return replace(
        usage,
        input_tokens=max(usage.input_tokens, special),
        output_tokens=max(usage.output_tokens, usage.reasoning_output_tokens),
    )


def flat_rates(prices: Mapping[str, int], *, model_id: str, provider_id: str = "policy", source: str = "policy") -> Rates:
    """Rates from prices by kind, in nano-USD per million tokens; kinds left out cost what plain input or output does.

    Args:
        prices: any of input, output, cache_read, cache_write, cache_write_1h, reasoning, input_audio, output_audio, input_image,
            output_image, web_search (per million), per_request (nano-USD).
        model_id, provider_id, source: for messages.
    """
    plain, answer = prices.get("input", 0), prices.get("output", 0)
    write = prices.get("cache_write", plain)
    audio = prices.get("input_audio", plain)
    coefficients = (
        plain,
        answer,
        prices.get("cache_read", plain) - plain,
        write - plain,
        prices.get("cache_write_1h", write) - write,
        prices.get("reasoning", answer) - answer,
        audio - plain,
        0,
        prices.get("output_audio", answer) - answer,
        prices.get("input_image", plain) - plain,
        prices.get("output_image", answer) - answer,
        prices.get("web_search", 0),
    )
    table = RateTable(coefficients, prices.get("per_request", 0) * TOKENS_PER_PRICE)
    return Rates(provider_id=provider_id, model_id=model_id, source=source, base=table)
