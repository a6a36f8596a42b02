"""What a call's end means for the book: a pure function from outcome to settlement."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from runguard_core.calls import Certainty, Outcome, OutcomeKind
from runguard_core.ledger import Hold, SettlementDraft, Unit
from runguard_core.money import MAX_AMOUNT, ceil_div
from runguard_core.prices import Quote, Rates
from runguard_core.usage import NO_USAGE, Usage
from runguard_core.values import value

_USD, _TOKENS, _SECONDS = Unit.USD, Unit.TOKENS, Unit.SECONDS
_EXACT, _ESTIMATED = Certainty.EXACT, Certainty.ESTIMATED
_COMPLETED, _FAILED = OutcomeKind.COMPLETED, OutcomeKind.FAILED
_UNBILLED_STATUSES = frozenset({429, 500, 503, 529})


def is_unbilled_status(status: int | None) -> bool:
    """Whether an HTTP status means for certain that nothing was billed: 4xx except 408, and a clean 500, 503 or 529."""
    if status is None:
        return False
    return status in _UNBILLED_STATUSES or (400 <= status < 500 and status != 408)


@value()
class Charge:
    """What is charged: nano-USD (None: unpriced), the tokens it stands for, and how good the figure is."""

    cost_nanos: int | None
    usage: Usage | None
    certainty: Certainty


def charge_of(
    outcome: Outcome, quote: Quote, rates: Rates | None, service_tier: str | None, tokens_per_char: float
) -> Charge | None:
    """The charge for an outcome; None when it is certain that nothing was billed.

    What the provider reported is exact. What is missing is estimated: the input from the quote, the output from the
    characters seen, everything from the quote when nothing was seen. Unknown is never zero.
    """
    if outcome.from_cache:
        return Charge(0, NO_USAGE, _EXACT)
    kind, usage = outcome.kind, outcome.usage
    if not outcome.billed or (kind is _FAILED and is_unbilled_status(outcome.error_status)):
        return None
    certainty = _EXACT
    if usage is None or not outcome.usage_complete or not (usage.input_tokens or usage.output_tokens) or not usage.is_sound:
        usage, certainty = _estimated(outcome, quote, tokens_per_char), _ESTIMATED
    cost = outcome.cost_nanos
    if cost is not None and type(cost) is int and 0 <= cost <= MAX_AMOUNT:
        return Charge(cost, usage, _EXACT)
    if rates is None:
        return Charge(None, usage, Certainty.UNPRICED)
    nothing_known = outcome.usage is None and not outcome.output_chars
    if nothing_known and kind is not _COMPLETED and quote.nanos is not None:
        return Charge(quote.nanos, usage, certainty)
    return Charge(rates.charge(usage, service_tier), usage, certainty)


def _estimated(outcome: Outcome, quote: Quote, tokens_per_char: float) -> Usage:
    reported = outcome.usage if outcome.usage is None or outcome.usage.is_sound else None
    seen = ceil_div(int(outcome.output_chars * tokens_per_char * 1000), 1000)
    if reported is None or reported.total_tokens == 0:
        unseen = outcome.output_chars == 0
        return Usage(input_tokens=quote.input_tokens, output_tokens=quote.output_tokens if unseen else seen)
    return replace(
        reported,
        input_tokens=max(reported.input_tokens, quote.input_tokens, reported.cache_read_input_tokens),
        output_tokens=reported.output_tokens or seen,
    )


def settlement_of(
    outcome: Outcome, charge: Charge, holds: tuple[Hold, ...], at: datetime, duration_seconds: float
) -> SettlementDraft:
    """The line that closes a call, with the actual amount for every account that was held, by its unit."""
    amounts, cost, usage = {}, charge.cost_nanos, charge.usage
    for hold in holds:
        unit = hold.account.unit
        if unit is _USD:
            amount = cost or 0
        elif unit is _TOKENS:
            amount = usage.total_tokens if usage is not None else 0
        else:
            amount = max(1, round(duration_seconds * 1000)) if unit is _SECONDS else hold.amount
        amounts[hold.account.key] = amount
    return SettlementDraft(at, outcome, amounts, cost, charge.certainty, usage, duration_seconds)


def void_of(outcome: Outcome, at: datetime, duration_seconds: float) -> SettlementDraft:
    """The line that closes a call for which nothing was billed."""
    failure = Outcome(
        kind=outcome.kind, error=outcome.error, error_status=outcome.error_status, attempt_count=outcome.attempt_count
    )
    return SettlementDraft(at, failure, {}, 0, Certainty.EXACT, None, duration_seconds)
