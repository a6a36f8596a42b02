"""The change of a feature's spend between two windows, split over what can change, to the nano-dollar.

Spend is a product of what people speak of:

    sessions x ( calls per session x sum over models of ( share of calls x cost of a call ) + tools per session )
    cost of a call = tokens per call x (plain price, corrected for the share that was cached) + charge without tokens

Each of the seven factors has a value in either window, and their order must not decide who is blamed: a factor's effect is the
mean of what changing it alone does, over all orders in which the factors may change (the Shapley value). These means add up to
the change exactly, in fractions; largest remainders make them whole nano-USD. Features are split each by itself and then added,
so that a shift from one feature to another is traffic of both.

Prices of token kinds are the price list's at the window's first instant, scaled to what was really charged: the effect of price
is what the same tokens were charged more or less, whatever the reason (a new list, a discount, a tier). What a window does not
have (the token counts of a model that it did not call) is taken as in the other window, so that it has no effect of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import factorial

from runguard_core.finops.why._measured import Measured, ModelKey, ModelUse
from runguard_core.money import whole_parts
from runguard_core.usage import USAGE_FIELDS, Usage

#: What a token of each kind of USAGE_FIELDS weighs, in any unit; see `RateTable`. None: no price is known.
Weights = tuple[Fraction, ...]
WeightsOf = Callable[[ModelKey], Weights | None]


class Factor(StrEnum):
    """What can change spend, in the order in which reports name it."""

    TRAFFIC = "traffic"
    CALLS = "calls per session"
    MIX = "model mix"
    TOKENS = "tokens per call"
    CACHING = "caching"
    PRICE = "price"
    REST = "tools and the rest"


FACTORS = tuple(Factor)
_COUNT = len(FACTORS)
_CACHED = frozenset(
    USAGE_FIELDS.index(name)
    for name in (
        "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation_1h_input_tokens", "cache_audio_read_tokens",
    )
)  # fmt: skip
_ALIKE: Weights = tuple(Fraction(int(name in {"input_tokens", "output_tokens"})) for name in USAGE_FIELDS)


@dataclass(frozen=True, slots=True)
class _Call:
    """What one call of a model is made of; None where the window cannot say."""

    tokens: Weights | None
    cached: Weights | None  # shares of the prompt
    price: Weights | None  # nano-USD a token
    untold: Fraction | None  # nano-USD a call that reports no tokens


_UNCALLED = _Call(None, None, None, None)


@dataclass(frozen=True, slots=True)
class _Facts:
    """A feature in a window, as factors."""

    sessions: Fraction
    calls: Fraction | None
    shares: Mapping[ModelKey, Fraction] | None
    models: Mapping[ModelKey, _Call]
    tools: Fraction | None


def split_change(before: Measured, after: Measured, weights: tuple[WeightsOf, WeightsOf]) -> tuple[int, ...]:
    """Each factor's effect in nano-USD, in the order of FACTORS; their sum is `after.nanos - before.nanos` exactly.

    Args:
        weights: of the models in the first window and in the second.
    """
    facts = _facts(before, weights[0]), _facts(after, weights[1])
    value = _values(facts)
    return tuple(whole_parts(_shapley(value), after.nanos - before.nanos))


def _facts(it: Measured, weights_of: WeightsOf) -> _Facts:
    sessions, calls = Fraction(it.session_count), it.whole.call_count
    return _Facts(
        sessions=sessions,
        calls=calls / sessions if sessions else None,
        shares={key: Fraction(use.call_count, calls) for key, use in it.models.items()} if calls else None,
        models={key: _call(use, weights_of(key) or _ALIKE) for key, use in it.models.items() if use.call_count},
        tools=it.tool_nanos / sessions if sessions else None,
    )


def _call(use: ModelUse, weights: Weights) -> _Call:
    counts = _counts(use.usage)
    prompt = use.usage.input_tokens
    weighed = sum((weight * count for weight, count in zip(weights, counts, strict=True)), Fraction(0))
    tokens = tuple(Fraction(count, use.call_count) for count in counts)
    cached = tuple(Fraction(count, prompt) for count in counts) if prompt else None
    if weighed <= 0:
        return _Call(tokens, cached, None, Fraction(use.nanos, use.call_count))
    level = use.nanos / weighed
    return _Call(tokens, cached, tuple(weight * level for weight in weights), Fraction(0))


def _counts(usage: Usage) -> tuple[int, ...]:
    return tuple(getattr(usage, name) for name in USAGE_FIELDS)


def _values(facts: tuple[_Facts, _Facts]) -> Callable[[int], Fraction]:
    """Spend when the factors whose bits are set are as after, the others as before."""
    costs = {key: _costs_of_a_call(facts, key) for key in (*facts[0].models, *facts[1].models)}
    bits = {factor: 1 << place for place, factor in enumerate(FACTORS)}
    inner = (Factor.TOKENS, Factor.CACHING, Factor.PRICE, Factor.REST)

    def chosen(mask: int, factor: Factor, values: tuple[Fraction | None, Fraction | None]) -> Fraction:
        first, other = values if not mask & bits[factor] else values[::-1]
        return first if first is not None else other if other is not None else Fraction(0)

    def value(mask: int) -> Fraction:
        sessions = facts[bool(mask & bits[Factor.TRAFFIC])].sessions
        if not sessions:
            return Fraction(0)
        mine, other = facts if not mask & bits[Factor.MIX] else facts[::-1]
        shares = mine.shares if mine.shares is not None else other.shares or {}
        within = tuple(bool(mask & bits[factor]) for factor in inner)
        a_call = sum((share * costs[key][within] for key, share in shares.items() if share), Fraction(0))
        calls = chosen(mask, Factor.CALLS, (facts[0].calls, facts[1].calls))
        return sessions * (calls * a_call + chosen(mask, Factor.REST, (facts[0].tools, facts[1].tools)))

    return value


def _costs_of_a_call(facts: tuple[_Facts, _Facts], key: ModelKey) -> dict[tuple[bool, ...], Fraction]:
    """Of a model: by whether tokens, caching, price and the rest are as after."""
    sides = tuple(side.models.get(key, _UNCALLED) for side in facts)

    def weights(name: str, is_after: bool) -> Weights:
        found = getattr(sides[is_after], name)
        return found if found is not None else getattr(sides[not is_after], name) or _NONE

    def untold(is_after: bool) -> Fraction:
        found = sides[is_after].untold
        return found if found is not None else sides[not is_after].untold or Fraction(0)

    flags = (False, True)
    return {
        (t, c, p, r): _cost(weights("tokens", t), weights("cached", c), weights("price", p)) + untold(r)
        for t in flags for c in flags for p in flags for r in flags
    }  # fmt: skip


_NONE: Weights = (Fraction(0),) * len(USAGE_FIELDS)


def _cost(tokens: Weights, cached: Weights, price: Weights) -> Fraction:
    prompt = tokens[0]
    each = (price[at] * (prompt * cached[at] if at in _CACHED else tokens[at]) for at in range(len(USAGE_FIELDS)) if price[at])
    return sum(each, Fraction(0))


def _shapley(value: Callable[[int], Fraction]) -> list[Fraction]:
    """Each factor's mean effect over all orders."""
    values = [value(mask) for mask in range(1 << _COUNT)]
    orders = factorial(_COUNT)
    effects = []
    for place in range(_COUNT):
        bit, effect = 1 << place, Fraction(0)
        for mask in range(1 << _COUNT):
            if not mask & bit and values[mask | bit] != values[mask]:
                size = mask.bit_count()
                effect += factorial(size) * factorial(_COUNT - 1 - size) * (values[mask | bit] - values[mask])
        effects.append(effect / orders)
    return effects
