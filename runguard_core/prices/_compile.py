"""From genai-prices' data to `Rates`. The only file that knows its objects; it is imported on first use.

genai-prices subtracts from each priced count the more specific ones that are priced too (a cache read is no plain
input); the coefficients here are that subtraction, worked out once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from runguard_core.prices._rates import TOKENS_PER_PRICE, Rates, RateTable
from runguard_core.usage import USAGE_FIELDS

#: Our counts under genai-prices' names, in the order of USAGE_FIELDS.
GENAI_KEYS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_reasoning_tokens", "input_audio_tokens", "cache_audio_read_tokens", "output_audio_tokens", "input_image_tokens",
    "output_image_tokens", "web_searches",
)  # fmt: skip
#: How a request says which service tier it wants, in genai-prices' words.
_TIER_KEYS = ("service_tier", "processing", "speed")
_NANOS = Decimal(10**9)


def compile_rates(provider: Any, model: Any, at: datetime, source: str) -> Rates:
    """The rates of a genai-prices model at an instant, its service tiers included."""
    tiers = {}
    for name in _service_tiers(model):
        context = dict.fromkeys(_TIER_KEYS, name)
        tiers[name] = _rates(provider, model, model.get_prices(at, context), source)
    return _rates(provider, model, model.get_prices(at), source, tiers)


def is_countable(model: Any, at: datetime) -> bool:
    """Whether the price is in units we count; False for what is billed by characters, seconds or pages only."""
    from genai_prices.units import _get_registry  # noqa: PLC0415  lazily, as the whole file

    keys = [key for key, value in vars(model.get_prices(at)).items() if value is not None]
    counted = {*GENAI_KEYS, "requests"}
    return not keys or any(_get_registry().unit_for_price_key(key).usage_key in counted for key in keys)


def changes_with_time(model: Any) -> bool:
    """Whether the price depends on the date or the time of day."""
    variants = model.price_variants or ()
    return isinstance(model.prices, list) or any(variant.constraint is not None for variant in variants)


def _service_tiers(model: Any) -> set[str]:
    return {value for variant in model.price_variants or () for key, value in variant.when.items() if key in _TIER_KEYS}


def _rates(provider: Any, model: Any, price: Any, source: str, tiers: dict[str, Rates] | None = None) -> Rates:
    prices = {key: value for key, value in vars(price).items() if value is not None}
    starts = sorted({tier.start for value in prices.values() for tier in getattr(value, "tiers", ())})
    return Rates(
        provider_id=provider.id,
        model_id=model.id,
        source=source,
        base=_table(prices, None),
        tiers=tuple((start, _table(prices, start)) for start in starts),
        by_service_tier=tiers or {},
        context_window_tokens=model.context_window,
    )


def _table(prices: dict[str, Any], start: int | None) -> RateTable:
    """Coefficients that hold just above `start` prompt tokens (None: from the first token)."""
    from genai_prices.units import _get_registry  # noqa: PLC0415  lazily, as the whole file

    units = {key: _get_registry().unit_for_price_key(key) for key in prices}
    # some are listed by the thousand: all are brought to a price per million
    factor = {key: Decimal(TOKENS_PER_PRICE) / units[key].per for key in prices}
    priced = {units[key].usage_key: (units[key], _at(prices[key], start) * factor[key]) for key in prices}
    exact = [_coefficient(key, priced) * _NANOS for key in GENAI_KEYS]
    requests = priced.get("requests")
    per_request = requests[1] * _NANOS if requests else Decimal(0)
    scale = 10 ** max(_digits(number) for number in (*exact, per_request))
    return RateTable(tuple(int(number * scale) for number in exact), int(per_request * scale), scale)


def _digits(number: Decimal) -> int:
    """Digits behind the point that matter."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _at(value: Any, start: int | None) -> Decimal:
    if not hasattr(value, "tiers"):
        return Decimal(value)
    found = value.base
    for tier in value.tiers:
        if start is not None and start >= tier.start:
            found = tier.price
    return Decimal(found)


def _coefficient(key: str, priced: dict[str, tuple[Any, Decimal]]) -> Decimal:
    """What one more of this count costs, all inclusive counts being as they are."""
    if key not in priced:
        return Decimal(0)
    unit, price = priced[key]
    return price - sum((priced[other][1] * share for other, share in _charged_before(unit, priced)), Decimal(0))


def _charged_before(unit: Any, priced: dict[str, tuple[Any, Decimal]]) -> Iterable[tuple[str, int]]:
    """The less specific counts this one is taken out of, with signs (inclusion and exclusion)."""
    above = [key for key, (other, _) in priced.items() if other is not unit and _contains(other, unit)]
    memo: dict[str, int] = {}

    def share(key: str) -> int:
        """How often one of `unit` is subtracted, net, from the leaf of `key`."""
        if key not in memo:
            between = [k for k in above if k != key and _contains(priced[key][0], priced[k][0])]
            memo[key] = 1 - sum(share(k) for k in between)
        return memo[key]

    return [(key, share(key)) for key in above]


def _contains(ancestor: Any, descendant: Any) -> bool:
    return bool(ancestor.dimensions.items() <= descendant.dimensions.items())


assert len(GENAI_KEYS) == len(USAGE_FIELDS)
