"""The guard as its user holds it, without a framework."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from runguard_core import (
    Budget,
    CallFilter,
    Guard,
    PolicyError,
    RefusedError,
    StoppedError,
    TrippedError,
)
from runguard_core import events as ev

from .clock import FakeClock
from .spending import CENT, ONE, kinds, spend


def test_the_short_form_of_the_two_commonest_budgets(make_guard: Any) -> None:
    """Texts and numbers; the snippet of the documentation."""
    guard = make_guard(app="search", max_cost_per_session_usd="0.05", daily_budget_usd=0.08, prices=CENT)
    with guard.session("s-42", user="u1") as session:
        assert spend(guard, 9) == 5
    assert (session.spent_usd, session.available_usd) == (Decimal("0.05"), Decimal(0))
    with guard.session("s-43") as other:
        assert spend(guard, 9) == 3
    assert other.available_usd == 0


@pytest.mark.parametrize("value", ["nan", -1, True, "abc", float("inf"), "1e30", [], 10**12])
def test_amounts_that_are_none_are_refused_at_once(value: Any) -> None:
    """The error names the setting."""
    with pytest.raises(PolicyError, match="max_cost_per_session_usd"):
        Guard(app="x", store="memory://", max_cost_per_session_usd=value)


def test_a_small_number_is_an_amount_too(make_guard: Any) -> None:
    """Python writes it with an exponent."""
    guard = make_guard(max_cost_per_session_usd=0.00001, daily_budget_usd="1e-5")
    assert [budget.limit.amount for budget in guard.rules.budgets] == [10_000, 10_000]


@pytest.mark.parametrize(("settings", "key"), [({"mode": "no"}, "mode"), ({"quote": "x"}, "quote"), ({"timezone": "Mars"}, "timezone"),
                                               ({"app": ""}, "app"), ({"nonsense": 1}, "nonsense"), ({"unpriced": "x"}, "unpriced")])  # fmt: skip
def test_wrong_settings_are_named(settings: dict[str, Any], key: str) -> None:
    """Nothing is started."""
    with pytest.raises(PolicyError) as caught:
        Guard(**{"app": "x", "store": "memory://", **settings})
    assert caught.value.key == key


@pytest.mark.parametrize("workers", ["threads", "copied", "asyncio"])
def test_fifty_at_once_against_ten(make_guard: Any, workers: str) -> None:
    """Exactly ten pass, and nothing stays pending."""
    guard = make_guard(budgets=[Budget("0.10 USD")], prices=CENT)
    barrier = threading.Barrier(50)

    def one() -> int:
        barrier.wait()
        return spend(guard)

    if workers == "asyncio":

        async def each() -> int:
            try:
                with guard.model_call("cent", max_output_tokens=1) as call:
                    await asyncio.sleep(0)
                    call.post(ONE)
            except StoppedError:
                return 0
            return 1

        async def everyone() -> int:
            return sum(await asyncio.gather(*(each() for _ in range(50))))

        passed = asyncio.run(everyone())
    else:
        with ThreadPoolExecutor(50) as pool:
            run = (lambda: copy_context().run(one)) if workers == "copied" else one
            passed = sum(future.result() for future in [pool.submit(run) for _ in range(50)])
    assert passed == 10
    (account,) = guard.store.accounts()
    assert (account.balance.posted, account.balance.pending) == (10**8, 0)
    assert guard.store.verify() == ()


def test_a_swallowed_stop_costs_nothing(make_guard: Any) -> None:
    """Once refused for good, the run makes no call, not even one that would fit."""
    guard = make_guard(budgets=[Budget("0.05 USD")], prices=CENT)
    with guard.session("s"):
        with pytest.raises(RefusedError) as refused:
            guard.model_call("cent", max_output_tokens=9)
        assert (refused.value.available, refused.value.requested, refused.value.retry) == (
            Decimal("0.05"),
            Decimal("0.09"),
            "never",
        )
        with pytest.raises(TrippedError):
            guard.model_call("cent", max_output_tokens=1)
    with guard.session("s"):
        assert spend(guard, 9) == 5


def test_a_refusal_for_calls_in_flight_latches_nothing(make_guard: Any) -> None:
    """It may fit when they settle, and does."""
    guard = make_guard(budgets=[Budget("0.05 USD")], prices=CENT)
    with guard.session("s"):
        held = guard.model_call("cent", max_output_tokens=5)
        with pytest.raises(RefusedError) as refused:
            guard.model_call("cent", max_output_tokens=1)
        assert refused.value.retry == "when pending calls settle"
        held.void("not needed")
        assert spend(guard, 9) == 5


def test_a_daily_refusal_says_when_it_frees_and_frees_then(make_guard: Any) -> None:
    """The window ends, the latch with it."""
    clock = FakeClock()
    guard = make_guard(daily_budget_usd="0.02", prices=CENT, clock=clock)
    with guard.session("s"):
        assert spend(guard, 2) == 2
        with pytest.raises(RefusedError) as refused:
            guard.model_call("cent", max_output_tokens=1)
        assert refused.value.retry == "after reset"
        assert refused.value.resets_at == clock.now().replace(hour=0) + timedelta(days=1)
        clock.advance(hours=11)
        assert spend(guard) == 0
        clock.advance(hours=2)
        assert spend(guard) == 1


def test_observed_budgets_and_agents_refuse_nothing_and_say_so(make_guard: Any) -> None:
    """Mode per guard, per budget, per agent."""
    guard = make_guard(budgets=[Budget("0.01 USD", mode="observe", name="watched")], prices=CENT)
    with guard.session("s"):
        assert spend(guard, 3) == 3
    assert kinds(guard).count(ev.WOULD_REFUSE) == 1
    guard = make_guard(budgets=[Budget("0.01 USD")], prices=CENT, agent_modes={"new": "observe"})
    with guard.session("s", agent="new"):
        assert spend(guard, 3) == 3
    with guard.session("t", agent="old"):
        assert spend(guard, 3) == 0
    guard = make_guard(budgets=[Budget("0.01 USD")], prices=CENT, mode="off")
    assert spend(guard, 3) == 3
    assert guard.store.calls(CallFilter()) == ()


def test_a_raised_limit_clears_its_own_latch_only(make_guard: Any) -> None:
    """Who, why and until are recorded; the run goes on."""
    guard = make_guard(
        budgets=[Budget("0.02 USD", per=["session"]), Budget("3 calls", name="calls", per=["session"])], prices=CENT
    )
    with guard.session("s") as session:
        assert spend(guard, 5) == 2
        assert session.stopped is not None
        session.raise_limit("0.10 USD", by="ann", reason="demo")
        assert session.stopped is None
        assert spend(guard, 5) == 1
        session.raise_limit("0.20 USD", by="ann", reason="does not lift the other")
        assert spend(guard, 5) == 0
        with pytest.raises(PolicyError):
            session.raise_limit("5 turns")
    assert kinds(guard).count(ev.LIMIT_CHANGED) == 2


def test_the_landing_allowance_serves_one_last_toolless_call(make_guard: Any) -> None:
    """Kept back from ordinary calls; used once."""
    guard = make_guard(budgets=[Budget("0.10 USD", landing="0.02 USD")], prices=CENT)
    with guard.session("s") as session:
        assert spend(guard, 20) == 8
        assert spend(guard, 1, landing=True, tool_count=3) == 0
        assert spend(guard, 1, landing=True) == 1
        assert spend(guard, 1, landing=True) == 0
    assert session.spent_usd == Decimal("0.09")


def test_thresholds_are_announced_once(make_guard: Any) -> None:
    """70 % and 90 % of ten calls."""
    guard = make_guard(budgets=[Budget("0.10 USD", thresholds=[0.7, 0.9])], prices=CENT)
    spend(guard, 20)
    said = [e.facts["share"] for e in guard.store.events() if e.kind == ev.BUDGET_THRESHOLD]
    assert said == ["0.7", "0.9"]
