"""How much to set aside for a model call before it is made."""

from __future__ import annotations

from runguard_core.calls import ModelCall
from runguard_core.money import MAX_AMOUNT, ceil_div
from runguard_core.prices._learning import FRAMING_TOKENS, REQUEST_TOKENS, Lesson
from runguard_core.prices._rates import Rates
from runguard_core.values import value

#: Most tokens that frame a message (role, separators, tool ids), and a request, whatever the provider.
_BOUND_MESSAGE_TOKENS = 16
_BOUND_REQUEST_TOKENS = 64
#: Tokens assumed for an image or a file in an expected quote.
_MEDIA_TOKENS = 1500
_MTOK = 10**6
#: Output assumed for a bound when the request states none, the adapter cannot cap it, and the model's window is unknown.
_UNKNOWN_WINDOW_TOKENS = 128_000


@value()
class Quote:
    """What is set aside.

    Attributes:
        nanos: nano-USD; None for an unpriced model.
        input_tokens, output_tokens: what it stands for, all choices together.
        is_bound: whether the call cannot cost more.
        basis: how it was found, one sentence.
    """

    nanos: int | None
    input_tokens: int
    output_tokens: int
    is_bound: bool
    basis: str


def quote_expected(call: ModelCall, rates: Rates | None, lesson: Lesson) -> Quote:
    """What the call probably costs: learned input ratio, 99th percentile of the answers, never above the request's limit."""
    chars, message_count = call.prompt_size
    text = int(chars * lesson.inputs.tokens_per_char) + 1
    tokens = text + REQUEST_TOKENS + FRAMING_TOKENS * (message_count or 1) + _MEDIA_TOKENS * call.media_count
    answer, limit, choices = lesson.output_tokens, call.max_output_tokens, call.choice_count
    if limit is not None and limit < answer:
        answer = max(0, limit)
    output = answer * choices if choices > 1 else answer
    nanos = rates.plain(tokens, output, call.service_tier) if rates is not None else None
    return Quote(nanos, tokens, output, False, "input by learned tokens per character, output by the 99th percentile")


def quote_bound(call: ModelCall, rates: Rates | None, expected_output_tokens: int) -> Quote:
    """The most the call can cost: a token is at least a byte; the answer ends at the request's limit.

    Args:
        call: what is about to be called.
        rates: its prices; None gives an unpriced quote.
        expected_output_tokens: the answer's cap where the request states none and the adapter can set one.
    """
    chars, message_count = call.prompt_size
    tokens = (call.input_bytes or 4 * chars) + _BOUND_MESSAGE_TOKENS * message_count + _BOUND_REQUEST_TOKENS
    each, is_bound, basis = _answer_bound(call, rates, expected_output_tokens)
    output = each * max(1, call.choice_count)
    if call.media_count:
        tokens += _MEDIA_TOKENS * call.media_count
        is_bound, basis = False, "media in the prompt have no bound"
    nanos = None if rates is None else _dearest(call, rates, tokens, output)
    return Quote(nanos, tokens, output, is_bound and rates is not None, basis)


def _answer_bound(call: ModelCall, rates: Rates | None, expected: int) -> tuple[int, bool, str]:
    if call.max_output_tokens is not None:
        return max(0, call.max_output_tokens), True, "input by bytes, output by the request's limit"
    if call.can_cap_output:
        return max(1, expected), True, "input by bytes, output capped at what was reserved"
    window = rates.context_window_tokens if rates is not None else None
    if window:
        return (
            window,
            True,
            "input by bytes, output by the model's context window: state max_tokens for a smaller quote",
        )
    return _UNKNOWN_WINDOW_TOKENS, False, "the request has no output limit and the model's window is unknown"


def _dearest(call: ModelCall, rates: Rates, tokens: int, output: int) -> int:
    chosen = rates.by_service_tier.get(call.service_tier or "", rates)
    request = ceil_div(chosen.base.per_request, _MTOK * chosen.base.scale)
    input_nanos = tokens * chosen.input_ceiling()
    output_rate = max(chosen.dearest("output_tokens"), 0)
    return min(ceil_div(input_nanos + output * output_rate, _MTOK) + request, MAX_AMOUNT)
