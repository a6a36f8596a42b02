"""What is no amount, through the guard: the call is metered by what can be, and the user's program hears nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runguard_core import Budget, Guard, PolicyError, RefusedError, Usage
from runguard_core.calls import ModelCall, PromptPart
from runguard_core.errors import InvalidAmountError
from runguard_core.ledger import CallFilter
from runguard_core.money import MAX_AMOUNT
from runguard_core.prices import PriceBook, PriceOverride
from runguard_core.testing._contract_hostile import NO_AMOUNTS

PRICELESS = PriceBook({"gold": PriceOverride(nanos_per_mtok={"input": 10**15, "output": 10**15})})

LONG = ModelCall(model="gold", parts=(PromptPart("user", 10**11),), max_output_tokens=10**12)


def open_guard(kind: str, tmp_path: Path, **more: Any) -> Guard:
    url = "memory://" if kind == "memory" else f"sqlite:///{tmp_path / 'l.db'}"
    return Guard(app="x", store=url, max_cost_per_session_usd=1, **more)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("quote", ["expected", "bound"])
@pytest.mark.parametrize("amount", [amount for amount in NO_AMOUNTS if amount is not None and amount is not True], ids=repr)
def test_counts_that_are_none_are_estimated(tmp_path: Path, kind: str, quote: str, amount: Any) -> None:
    """As a limit of the request, as reported tokens, as the provider's own price: never raised, never zero."""
    guard = open_guard(kind, tmp_path, quote=quote)
    with guard.session("s"):
        with guard.model_call("gpt-4o-mini", prompt="x", max_output_tokens=amount) as call:
            call.post(Usage(input_tokens=amount, output_tokens=1), cost_nanos=amount)
        with guard.model_call("gpt-4o-mini", prompt="x") as call:
            call.post(Usage(input_tokens=1000, output_tokens=1000), cost_nanos=amount)
    one, two = guard.store.calls(CallFilter())
    assert one.settlement is not None
    # the price that is none is passed over for the tokens of the second call, which are good
    assert (one.settlement.certainty.value, two.cost_nanos) == ("estimated", 750_000)
    assert one.cost_nanos > 0
    assert guard.store.verify() == ()
    guard.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("quote", ["expected", "bound"])
def test_a_call_dearer_than_an_account_can_hold_is_refused_or_counted_to_the_brim(tmp_path: Path, kind: str, quote: str) -> None:
    """Where it is observed it passes, at the most that can be written; where it is enforced it is a refusal, and no fault."""
    guard = open_guard(kind, tmp_path, quote=quote, prices=PRICELESS)
    with guard.session("s"), pytest.raises(RefusedError), guard.reserve(LONG):
        pytest.fail("the call was made")
    guard.close()
    guard = open_guard(kind, tmp_path, quote=quote, prices=PRICELESS, mode="observe")
    with guard.session("t"), guard.reserve(LONG) as call:
        call.post(Usage(input_tokens=0, output_tokens=10**12))
    assert [call.cost_nanos for call in guard.store.calls(CallFilter(session="t"))] == [MAX_AMOUNT]
    assert guard.store.verify() == ()
    guard.close()


@pytest.mark.parametrize("limit", ["nan", "inf", "-1", float("nan"), float("inf"), -1, True, 2**63, "1e30", [], b"1"], ids=repr)
def test_limits_that_are_none_are_mistakes_of_the_policy(limit: Any) -> None:
    """Said when the guard is made, by the name of the setting."""
    with pytest.raises(PolicyError, match="max_cost_per_session_usd"):
        Guard(app="x", store="memory://", max_cost_per_session_usd=limit)
    with pytest.raises((PolicyError, InvalidAmountError)):
        Budget(limit)


@pytest.mark.parametrize(("one", "other"), [("caf\xe9", "cafe\u0301"), ("\u212b", "A\u030a")])
def test_two_spellings_of_one_name_share_a_budget(tmp_path: Path, one: str, other: str) -> None:
    """Composed and decomposed letters look the same to a person, so they are one user."""
    budget = Budget("2 calls", per=["user"])
    guard = Guard(app="x", store=f"sqlite:///{tmp_path / 'l.db'}", budgets=[budget])
    for user in (one, other):
        with guard.session("s", user=user), guard.model_call("gpt-4o-mini", prompt="x") as call:
            call.post(Usage(input_tokens=1, output_tokens=1))
    with guard.session("t", user=one), pytest.raises(RefusedError), guard.model_call("gpt-4o-mini", prompt="x"):
        pytest.fail("the call was made")
    guard.close()
