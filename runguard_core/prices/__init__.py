"""Prices: a model's name to integer rates, tokens to nano-USD, a call to its quote."""

from runguard_core.prices._book import PROVIDER_NAMES, PriceBook, PriceOverride, find_listed, nearest
from runguard_core.prices._learning import (
    FRAMING_TOKENS,
    PRIOR_OUTPUT_TOKENS,
    PRIOR_TOKENS_PER_CHAR,
    Learned,
    Lesson,
    framing_tokens,
)
from runguard_core.prices._quotes import Quote, quote_bound, quote_expected
from runguard_core.prices._rates import Rates, RateTable, consistent, flat_rates
from runguard_core.prices._refreshed import count_models, read_price_list, use_price_list

__all__ = [
    "FRAMING_TOKENS",
    "PRIOR_OUTPUT_TOKENS",
    "PRIOR_TOKENS_PER_CHAR",
    "PROVIDER_NAMES",
    "Learned",
    "Lesson",
    "PriceBook",
    "PriceOverride",
    "Quote",
    "RateTable",
    "Rates",
    "consistent",
    "count_models",
    "find_listed",
    "flat_rates",
    "framing_tokens",
    "nearest",
    "quote_bound",
    "quote_expected",
    "read_price_list",
    "use_price_list",
]
