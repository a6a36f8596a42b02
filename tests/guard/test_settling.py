"""From outcome to charge: exact where reported, estimated where not, never zero for want of knowledge."""

from __future__ import annotations

from typing import Any

import pytest

from runguard_core import Budget, Outcome, OutcomeKind, Usage
from runguard_core.calls import Certainty
from runguard_core.guard._settling import Charge, charge_of, is_unbilled_status
from runguard_core.prices import Quote, flat_rates

from .spending import CENT, spend

RATES = flat_rates({"input": 10**9, "output": 10**10}, model_id="m")  # 1,000 and 10,000 nano-USD per token
QUOTE = Quote(nanos=5_000_000, input_tokens=1000, output_tokens=400, is_bound=False, basis="")
EXACT, ESTIMATED = Certainty.EXACT, Certainty.ESTIMATED


@pytest.mark.parametrize(
    ("outcome", "nanos", "certainty"),
    [
        (Outcome(usage=Usage(input_tokens=10, output_tokens=5)), 60_000, EXACT),
        (Outcome(usage=Usage(input_tokens=10, output_tokens=5), cost_nanos=77), 77, EXACT),
        (Outcome(from_cache=True, usage=Usage(input_tokens=10)), 0, EXACT),
        # completed without usage: the prompt by estimate, the answer by what was seen, or by the quote when nothing was
        (Outcome(output_chars=400), 1_000_000 + 100 * 10_000, ESTIMATED),
        (Outcome(), 5_000_000, ESTIMATED),
        # a report of nothing is no report
        (Outcome(usage=Usage()), 5_000_000, ESTIMATED),
        (Outcome(usage=Usage(), output_chars=400), 2_000_000, ESTIMATED),
        # a report that lacks the prompt
        (Outcome(usage=Usage(output_tokens=5), usage_complete=False), 1_050_000, ESTIMATED),
        # cancelled, failed, unknown: what is known, else the quote
        (Outcome(kind=OutcomeKind.CANCELLED), 5_000_000, ESTIMATED),
        (Outcome(kind=OutcomeKind.CANCELLED, output_chars=40), 1_100_000, ESTIMATED),
        (Outcome(kind=OutcomeKind.FAILED, error_status=502), 5_000_000, ESTIMATED),
        (Outcome(kind=OutcomeKind.UNKNOWN), 5_000_000, ESTIMATED),
    ],
)
def test_charges(outcome: Outcome, nanos: int, certainty: Certainty) -> None:
    """Worked by hand."""
    charge = charge_of(outcome, QUOTE, RATES, None, 0.25)
    assert charge is not None
    assert (charge.cost_nanos, charge.certainty) == (nanos, certainty)


NAN: Any = float("nan")
ODD: list[Any] = [NAN, float("inf"), -1, 1.5, "3", 2**63, 10**400]


@pytest.mark.parametrize("count", ODD, ids=range(len(ODD)))
def test_a_count_that_is_none_is_no_report(count: Any) -> None:
    """One NaN in the book would let every later call pass; it is charged by estimate, and the next call meets its limit."""
    for odd in (
        Outcome(usage=Usage(input_tokens=count, output_tokens=5)),
        Outcome(usage=Usage(output_tokens=5, reasoning_output_tokens=count)),
        Outcome(cost_nanos=-1 if count == 2**63 else count),
    ):
        charge = charge_of(odd, QUOTE, RATES, None, 0.25)
        assert charge == Charge(5_000_000, Usage(input_tokens=1000, output_tokens=400), ESTIMATED)


@pytest.mark.parametrize("limit", [*ODD, True], ids=range(len(ODD) + 1))
@pytest.mark.parametrize("quote", ["expected", "bound"])
def test_an_output_limit_that_is_none_is_no_limit(make_guard: Any, limit: Any, quote: str) -> None:
    """-1 means "no limit" to several servers: a bound of nothing would let any answer pass."""
    guard = make_guard(budgets=[Budget("100 USD")], quote=quote)
    quotes = []
    for given in (limit, None):
        with guard.model_call("gpt-4o-mini", prompt="x", max_output_tokens=given) as call:
            quotes.append(call.quote.nanos)
            call.void()
    assert quotes[0] >= quotes[1]


@pytest.mark.parametrize(
    "outcome", [Outcome(kind=OutcomeKind.FAILED, error_status=429), Outcome(kind=OutcomeKind.FAILED, billed=False)]
)
def test_what_was_certainly_not_billed_is_void(outcome: Outcome) -> None:
    """No charge at all."""
    assert charge_of(outcome, QUOTE, RATES, None, 0.25) is None


def test_without_a_price_the_charge_is_unpriced_and_the_tokens_are_kept() -> None:
    """None is not zero."""
    charge = charge_of(Outcome(usage=Usage(input_tokens=10, output_tokens=5)), QUOTE, None, None, 0.25)
    assert charge is not None
    assert (charge.cost_nanos, charge.certainty, charge.usage) == (
        None,
        Certainty.UNPRICED,
        Usage(input_tokens=10, output_tokens=5),
    )


def test_statuses() -> None:
    """4xx except 408, and a clean 500, 503 or 529."""
    unbilled = [status for status in range(100, 600) if is_unbilled_status(status)]
    assert unbilled == [s for s in range(400, 500) if s != 408] + [500, 503, 529]
    assert not is_unbilled_status(None)


@pytest.mark.parametrize("order", [("0.05 USD", "0.03 USD"), ("0.03 USD", "0.05 USD")])
def test_two_budgets_on_one_account_hold_once_under_the_tighter_limit(make_guard: Any, order: tuple[str, str]) -> None:
    """Spend is counted once; the tighter one refuses and is named."""
    guard = make_guard(budgets=[Budget(limit, name=limit) for limit in order], prices=CENT)
    assert spend(guard, 9) == 3
    (account,) = guard.store.accounts()
    assert account.balance.posted == 3 * 10**7
    (refused,) = {e.facts["budget"] for e in guard.store.events() if e.kind == "call_refused"}
    assert refused == "0.03 USD"
