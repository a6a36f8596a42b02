"""How much to set aside for a call, in every unit a budget may count."""

from __future__ import annotations

from datetime import datetime

from runguard_core.attribution import Attribution
from runguard_core.calls import Call, ModelCall
from runguard_core.errors import UnknownModelError
from runguard_core.guard._rules import QuoteMode, Rules
from runguard_core.ledger import Unit
from runguard_core.money import MAX_AMOUNT
from runguard_core.prices import Learned, Lesson, Quote, Rates, quote_bound, quote_expected
from runguard_core.values import value

_USD, _TOKENS, _CALLS, _TURNS = Unit.USD, Unit.TOKENS, Unit.CALLS, Unit.TURNS
_SECONDS, _TOOL_CALLS, _BOUND = Unit.SECONDS, Unit.TOOL_CALLS, QuoteMode.BOUND
_TOOLS = Learned().lesson(None, "")  # nothing is learned from tools


@value()
class Priced:
    """A call with its price.

    Attributes:
        quote: what to set aside; rates: behind it, None for an unpriced model.
        lesson: what the quote of a model call was learned from; unknown: what was wrong, if anything.
    """

    quote: Quote
    rates: Rates | None
    lesson: Lesson
    unknown: UnknownModelError | None = None


def price_model_call(rules: Rules, learned: Learned, call: ModelCall, who: Attribution, at: datetime) -> Priced:
    """Quote a model call by the policy's kind of quote."""
    unknown, lesson = None, learned.lesson(who.agent or "", call.model)
    try:
        rates: Rates | None = rules.prices.rates(call.model, call.provider, at)
    except UnknownModelError as error:
        unknown, rates = error, rules.assumed_rates
    if rules.quote is _BOUND:
        return Priced(quote_bound(call, rates, lesson.output_tokens), rates, lesson, unknown)
    return Priced(quote_expected(call, rates, lesson), rates, lesson, unknown)


def price_tool_call(rules: Rules, name: str) -> Priced:
    """The policy's price of a tool call, free unless listed."""
    price = rules.tool_prices_nanos.get(name, 0) if rules.tool_prices_nanos else 0
    return Priced(Quote(nanos=price, input_tokens=0, output_tokens=0, is_bound=True, basis="price per call"), None, _TOOLS)


def asked_by(call: Call, quote: Quote, *, is_new_turn: bool) -> dict[Unit, int]:
    """What a call asks of budgets, by unit; units that are not there are not touched."""
    nanos = min(quote.nanos or 0, MAX_AMOUNT)
    if isinstance(call, ModelCall):
        asked = {_USD: nanos, _TOKENS: min(quote.input_tokens + quote.output_tokens, MAX_AMOUNT), _CALLS: 1, _SECONDS: 1}
        if is_new_turn:
            asked[_TURNS] = 1
        return asked
    return {_TOOL_CALLS: 1, _SECONDS: 1, _USD: nanos} if nanos else {_TOOL_CALLS: 1, _SECONDS: 1}


def output_cap(call: Call, quote: Quote) -> int | None:
    """The output limit that makes the quote hold, where the adapter can lower the request's; else None."""
    if not isinstance(call, ModelCall) or not call.can_cap_output:
        return None
    return max(1, quote.output_tokens // max(1, call.choice_count))
