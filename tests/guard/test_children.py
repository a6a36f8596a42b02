"""Sub-agents with a part of their parent's budgets: they cannot pass it, nobody else can take it, what is left returns."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import pytest

from runguard_core import Budget, ModelCall, PolicyError, RefusedError, ToolCall, TrippedError, Usage
from runguard_core import events as ev
from runguard_core.calls import CallKind
from runguard_core.ledger import CallFilter

from .children import may, posted
from .clock import FakeClock
from .spending import CENT, kinds, spend


def test_a_child_spends_its_part_and_no_more_and_the_rest_returns(make_guard: Any) -> None:
    """The parent's account is charged with what was spent, once."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent:
        with parent.child(limit="0.04 USD", name="researcher") as child:
            assert posted(guard, "session s") == (0, 4)
            assert (child.available_usd, parent.available_usd) == (Decimal("0.04"), Decimal("0.06"))
            assert spend(guard, 3) == 3
            assert (child.spent_usd, parent.spent_usd) == (Decimal("0.03"), Decimal("0.03"))
            assert (child.available_usd, parent.available_usd) == (Decimal("0.01"), Decimal("0.06"))
            assert spend(guard, 9) == 1
            with pytest.raises(TrippedError), guard.model_call("cent", max_output_tokens=1):
                pytest.fail("a stop holds")
        assert posted(guard, "session s") == (4, 0)
        assert spend(guard, 9) == 6
    assert (parent.spent_usd, child.spent_usd) == (Decimal("0.10"), Decimal("0.04"))


def test_what_a_child_leaves_returns_to_every_account(make_guard: Any) -> None:
    """Session and day alike."""
    guard = make_guard(max_cost_per_session_usd="0.10", daily_budget_usd="0.20", prices=CENT)
    with guard.session("s") as parent, parent.child("0.08 USD"):
        spend(guard, 2)
    assert parent.available_usd == Decimal("0.08")
    assert [row.balance.posted for row in guard.store.accounts()] == [2 * 10**7] * 3


def test_a_refusal_says_whose_part_it_was(make_guard: Any) -> None:
    """And what to do."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with (
        guard.session("s") as parent,
        parent.child("0.01 USD", name="researcher") as child,
        pytest.raises(RefusedError) as caught,
    ):
        child.reserve(ModelCall(model="cent", max_output_tokens=2))
    assert str(caught.value) == (
        "budget 'sub-agent researcher' (sub-agent researcher, session s) has 0.01 USD left and the call asks for 0.02 USD: "
        "limit 0.01 - posted 0.00 - pending 0.00; a sub-agent with a larger limit may go on; the call was not sent"
    )


def test_a_parent_without_room_refuses_the_child_and_goes_on(make_guard: Any) -> None:
    """Nothing is latched: less may fit, or no sub-agent at all."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent:
        spend(guard, 3)
        with pytest.raises(RefusedError) as caught, parent.child("0.08 USD", name="researcher"):
            pytest.fail("only seven cents are left")
        assert str(caught.value) == (
            "budget 'session' (session s) has 0.07 USD left and sub-agent 'researcher' asks for 0.08 USD: limit 0.10 - posted "
            "0.03 - pending 0.00; raise the limit to go on; sub-agent 'researcher' was not started"
        )
        with parent.child("0.07 USD"):
            assert spend(guard, 9) == 7
    assert kinds(guard).count(ev.CALL_REFUSED) == 2


def test_the_parent_cannot_take_what_a_child_has(make_guard: Any) -> None:
    """While the child runs, the part is not there for anybody else."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent:
        child = parent.child("0.08 USD").__enter__()
        assert sum(1 for _ in range(9) if may(parent)) == 2
        child.__exit__(None, None, None)


def test_parallel_children_have_a_part_each(make_guard: Any) -> None:
    """Threads, each with a copy of the context."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)

    def work(parent: Any, cents: int) -> int:
        with parent.child(f"0.0{cents} USD", name=f"c{cents}"):
            return spend(guard, 50)

    with guard.session("s") as parent, ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(copy_context().run, work, parent, cents) for cents in (1, 2, 3, 4)]
        assert [future.result() for future in futures] == [1, 2, 3, 4]
    assert posted(guard, "session s") == (10, 0)


async def test_parallel_tasks_have_a_part_each_and_one_that_is_cancelled_gives_its_rest_back(make_guard: Any) -> None:
    """A session's context belongs to the task."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    begun = asyncio.Event()

    async def work(parent: Any, limit: str, *, hangs: bool) -> int:
        async with parent.child(limit):
            made = spend(guard, 2)
            await asyncio.sleep(0)
            if hangs:
                begun.set()
                await asyncio.Event().wait()
            return made + spend(guard, 50)

    async with guard.session("s") as parent:
        tasks = [asyncio.create_task(work(parent, "0.03 USD", hangs=index == 0)) for index in range(3)]
        await begun.wait()
        tasks[0].cancel()
        assert (await asyncio.gather(*tasks, return_exceptions=True))[1:] == [3, 3]
        assert tasks[0].cancelled()
        assert posted(guard, "session s") == (8, 0)


def test_a_child_of_a_child_is_limited_by_it(make_guard: Any) -> None:
    """Its part comes out of the child's, not out of the root's a second time."""
    guard = make_guard(max_cost_per_session_usd="0.20", prices=CENT)
    with guard.session("s") as parent, parent.child("0.05 USD", name="a") as child:
        spend(guard, 1)
        with pytest.raises(RefusedError, match=r"sub-agent a.*0\.04 USD left"), child.child("0.05 USD", name="b"):
            pytest.fail("it would pass the child's own part")
        with child.child("0.03 USD", name="b") as grandchild:
            assert posted(guard, "session s") == (0, 5)
            assert spend(guard, 9) == 3
            assert (grandchild.spent_usd, child.spent_usd, parent.spent_usd) == tuple(map(Decimal, ("0.03", "0.04", "0.04")))
        assert spend(guard, 9) == 1
    assert posted(guard, "session s") == (5, 0)
    assert parent.spent_usd == Decimal("0.05")


def test_other_units_and_accounts_of_the_childs_own_hold_as_usual(make_guard: Any) -> None:
    """Calls of the session and cents of the child's agent."""
    budgets = [Budget("0.10 USD", per="session"), Budget("4 calls", per="session"), Budget("0.02 USD", where={"agent": "cheap"})]
    guard = make_guard(budgets=budgets, prices=CENT)
    with guard.session("s") as parent:
        spend(guard, 1)
        with parent.child("0.05 USD", name="cheap"):
            assert spend(guard, 9) == 2, "the agent's own budget"
        with parent.child("0.05 USD", name="other"):
            assert spend(guard, 9) == 1, "four calls in all"
    assert posted(guard, "agent cheap") == (2, 0)


def test_a_part_may_be_of_any_unit(make_guard: Any) -> None:
    """Calls; money is then the parent's."""
    guard = make_guard(budgets=[Budget("0.10 USD", per="session"), Budget("5 calls", per="session")], prices=CENT)
    with guard.session("s") as parent:
        with parent.child("3 calls") as child:
            assert spend(guard, 9) == 3
            assert child.available_usd == Decimal("0.07")
        assert spend(guard, 9) == 2


def test_an_overrun_of_the_child_reaches_the_parent_in_full(make_guard: Any) -> None:
    """What a provider has charged is not cut to a limit."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent, parent.child("0.02 USD", name="c"), guard.model_call("cent", max_output_tokens=1) as call:
        call.post(Usage(output_tokens=7))
    assert posted(guard, "session s") == (7, 0)
    assert "sub-agent c spent 0.07 USD of 0.02 USD, 0.05 USD above it" in [event.message for event in guard.store.events()]


def test_a_new_day_does_not_count_the_child_twice(make_guard: Any) -> None:
    """The part was reserved yesterday: its spend belongs there, also what was spent after midnight."""
    clock = FakeClock()
    guard = make_guard(daily_budget_usd="0.10", prices=CENT, clock=clock)
    with guard.session("s") as parent, parent.child("0.05 USD"):
        spend(guard, 1)
        clock.advance(days=1)
        spend(guard, 1)
    days = {row.account.title: row.balance.posted // 10**7 for row in guard.store.accounts() if "day" in row.account.title}
    assert days == {"app test, day from 2026-11-24 00:00Z": 2}


def test_thresholds_that_a_part_passes_are_announced(make_guard: Any) -> None:
    """The next call would not pass them any more."""
    guard = make_guard(budgets=[Budget("0.10 USD", per="session", thresholds=[0.7])], prices=CENT)
    with guard.session("s") as parent, parent.child("0.08 USD"):
        spend(guard, 1)
    assert kinds(guard).count(ev.BUDGET_THRESHOLD) == 1


def test_a_block_that_raises_closes_the_child(make_guard: Any) -> None:
    """As any other end."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent, pytest.raises(ZeroDivisionError), parent.child("0.05 USD"):
        spend(guard, 1)
        raise ZeroDivisionError
    assert posted(guard, "session s") == (1, 0)


def test_a_child_is_used_by_one_at_a_time_and_may_be_used_again(make_guard: Any) -> None:
    """Each entry is a part of its own."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent:
        child = parent.child("0.02 USD", name="c")
        with child, pytest.raises(RuntimeError, match="sub-agent 'c' runs already: make another"), child:
            pytest.fail("twice at once")
        runs = []
        for _ in range(2):
            with child:
                assert spend(guard, 9) == 2
                runs.append(child.run)
        assert len(set(runs)) == 2
    assert posted(guard, "session s") == (4, 0)


@pytest.mark.parametrize("limit", ["nonsense", -1, "1 parsec"])
def test_a_limit_that_is_none_is_refused_at_once(make_guard: Any, limit: Any) -> None:
    """Before anything is set aside."""
    with pytest.raises(PolicyError, match="limit"):
        make_guard().session("s").child(limit)


def test_a_child_outside_any_session_has_a_session_of_its_own(make_guard: Any) -> None:
    """And a part of the app's budgets."""
    guard = make_guard(daily_budget_usd="0.10", prices=CENT)
    with guard.session().child("0.02 USD") as child:
        assert spend(guard, 9) == 2
    assert child.id == child.run
    assert child.spent_usd == Decimal("0.02")


def test_observed_children_are_only_announced(make_guard: Any) -> None:
    """Mode OBSERVE refuses nothing; OFF does nothing."""
    watched = make_guard(max_cost_per_session_usd="0.02", prices=CENT, mode="observe")
    with watched.session("s") as parent, parent.child("0.05 USD"):
        assert spend(watched, 9) == 9
    assert posted(watched, "session s") == (9, 0)
    assert kinds(watched).count(ev.WOULD_REFUSE) == 2, "the part, and the calls"
    off = make_guard(max_cost_per_session_usd="0.02", prices=CENT, mode="off")
    with off.session("s") as parent, parent.child("0.05 USD") as child:
        assert spend(off, 9) == 9
    assert (child.calls(), off.store.calls(CallFilter())) == ((), ())


def test_a_child_costs_nothing_by_itself(make_guard: Any) -> None:
    """It is no model call and no tool call, and its calls are the session's."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent:
        spend(guard, 1)
        with parent.child("0.05 USD"):
            spend(guard, 2)
            with guard.reserve(ToolCall(name="look", arguments={})) as call:
                call.post(result="x")
    assert [call.kind for call in parent.calls()] == [CallKind.MODEL] * 3 + [CallKind.TOOL]
    assert sum(call.cost_nanos for call in guard.store.calls(CallFilter())) == 3 * 10**7
