"""The guard as its user holds it, without a framework."""

from __future__ import annotations

import asyncio
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runguard_core import (
    Budget,
    CallFilter,
    Guard,
    ModelCall,
    PolicyError,
    PromptPart,
    RefusedError,
    StoppedError,
    TrippedError,
    Usage,
    current_session,
)
from runguard_core import events as ev
from runguard_core.ledger import LatchState
from runguard_core.prices import PriceBook, PriceOverride

from .clock import FakeClock

CENT = PriceBook({"cent": PriceOverride(nanos_per_mtok={"output": 10**13})})  # one output token, one cent
ONE = Usage(input_tokens=0, output_tokens=1)


def spend(guard: Guard, times: int = 1, **more: Any) -> int:
    """Make calls of one cent until one is refused; how many passed."""
    passed = 0
    for _ in range(times):
        try:
            with guard.model_call("cent", max_output_tokens=1, **more) as call:
                call.post(ONE)
        except StoppedError:
            return passed
        passed += 1
    return passed


def kinds(guard: Guard) -> list[str]:
    """Kinds of all events."""
    return [event.kind for event in guard.store.events()]


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


def test_turns_tool_calls_and_seconds_are_units_too(make_guard: Any) -> None:
    """Whatever a limit can be written in."""
    clock = FakeClock()
    guard = make_guard(budgets=[Budget("2 turns", per=["run"])], prices=CENT)
    with guard.session("s"):
        assert spend(guard, 9) == 2
    guard = make_guard(budgets=[Budget("2 tool calls", per=["run"])])
    add = guard.tool(name="add")(lambda x: x)
    with guard.session("s"):
        assert [add(1), add(2)] == [1, 2]
        with pytest.raises(RefusedError, match="tool calls"):
            add(3)
    guard = make_guard(budgets=[Budget("10s", per=["session"])], prices=CENT, clock=clock)
    with guard.session("s"):
        with guard.model_call("cent", max_output_tokens=1) as call:
            clock.advance(seconds=10)
            call.post(ONE)
        assert spend(guard, 1) == 0


def test_tools_can_cost_money(make_guard: Any) -> None:
    """A price per call in the policy, under the same budget."""
    guard = make_guard(budgets=[Budget("0.05 USD")], tool_prices_usd={"search": "0.02"})
    search = guard.tool(name="search")(lambda q: q)
    with guard.session("s") as session:
        assert [search("a"), search("b")] == ["a", "b"]
        with pytest.raises(RefusedError):
            search("c")
        assert session.spent_usd == Decimal("0.04")


def test_unpriced_models_under_a_usd_budget_are_denied_flagged_or_assumed(make_guard: Any) -> None:
    """The refusal names the nearest model and the line to add."""
    guard = make_guard(max_cost_per_session_usd="1")
    with guard.session("s"), pytest.raises(TrippedError, match=r'\[prices."gpt-4o-minni"\]') as caught:
        guard.model_call("gpt-4o-minni", prompt="x")
    assert "gpt-4o-mini" in str(caught.value)
    flagged = make_guard(max_cost_per_session_usd="1", unpriced="flag")
    with flagged.session("s"), flagged.model_call("no-such-model-at-all", prompt="x") as call:
        call.post(ONE)
    (kept,) = flagged.store.calls(CallFilter())
    assert (kept.quote_nanos, kept.settlement.certainty) == (None, "unpriced")  # type: ignore[union-attr]
    assert ev.CALL_UNPRICED in kinds(flagged)


def test_the_first_call_is_not_refused_for_a_huge_max_tokens(make_guard: Any) -> None:
    """ChatAnthropic always sends 64,000; a fresh budget is usable nevertheless."""
    guard = make_guard(max_cost_per_session_usd="0.05")
    with guard.session("s"), guard.model_call("claude-sonnet-4-6", prompt="hi", max_output_tokens=64_000) as call:
        assert call.quote is not None
        assert call.quote.is_bound is False
        call.post(Usage(input_tokens=5, output_tokens=50))


def test_bound_quotes_cap_the_output_where_the_caller_can(make_guard: Any) -> None:
    """The quote says that it is a bound; the reservation says what to send."""
    guard = make_guard(max_cost_per_session_usd="0.05", quote="bound")
    with guard.session("s"):
        call = guard.model_call("gpt-4o-mini", prompt="hi")
        assert call.quote is not None
        assert (call.quote.is_bound, call.max_output_tokens) == (True, call.quote.output_tokens)
        call.void()


def test_an_overrun_is_posted_in_full_and_announced(make_guard: Any) -> None:
    """And the next call sees it."""
    guard = make_guard(budgets=[Budget("0.05 USD")], prices=CENT)
    with guard.session("s") as session:
        with guard.model_call("cent", max_output_tokens=1) as call:
            call.post(Usage(output_tokens=9))
        assert session.spent_usd == Decimal("0.09")
        assert spend(guard) == 0
    assert ev.BUDGET_OVERRUN in kinds(guard)


def test_a_block_that_raises_is_charged_at_its_quote(make_guard: Any) -> None:
    """Nobody knows whether the provider billed."""
    guard = make_guard(max_cost_per_session_usd="1", prices=CENT)
    with guard.session("s") as session:
        with pytest.raises(ValueError, match="boom"), guard.model_call("cent", max_output_tokens=3):
            raise ValueError("boom")
        assert session.spent_usd == Decimal("0.03")


def test_plain_threads_meet_every_budget_that_is_not_split_by_session(make_guard: Any) -> None:
    """No context, no session, and still a cap."""
    guard = make_guard(budgets=[Budget("0.03 USD"), Budget("0.01 USD", per=["session"])], prices=CENT)
    found: list[int] = []
    with guard.session("s"):
        thread = threading.Thread(target=lambda: found.append(spend(guard, 9)))
        thread.start()
        thread.join()
    assert found == [3]


async def test_sessions_nest_and_follow_tasks(make_guard: Any) -> None:
    """Each task has its own; leaving one restores the outer."""
    guard = make_guard(prices=CENT)

    async def task(name: str) -> None:
        async with guard.session(name):
            await asyncio.sleep(0)
            spend(guard)

    async with guard.session("outer") as outer:
        await asyncio.gather(task("a"), task("b"))
        assert current_session() is outer
        spend(guard)
    assert current_session() is None
    assert sorted(c.attribution.session for c in guard.store.calls(CallFilter())) == ["a", "b", "outer"]


def test_attribution_is_complete(make_guard: Any) -> None:
    """App, feature, team, owner, agent, user, session, run, turn, loop, tags, release, policy."""
    guard = make_guard(
        app="a", team="t", owner="o", release="1.2", prices=CENT, agent_owners={"p": "p@x"}, require=["cost_center"]
    )
    with guard.session("s", agent="p", user="u", feature="f", tags={"k": 1}):
        guard.reserve(ModelCall(model="cent", parts=(PromptPart("user", 5),))).post(ONE)
        guard.reserve(ModelCall(model="cent", after_tool=True)).post(ONE)
        guard.reserve(ModelCall(model="cent")).post(ONE)
    one, two, three = (c.attribution for c in guard.store.calls(CallFilter()))
    assert (one.app, one.feature, one.team, one.owner, one.agent, one.user, one.session) == ("a", "f", "t", "o", "p", "u", "s")
    assert (one.release, one.tags) == ("1.2", (("cost_center", "unattributed"), ("k", "1")))
    assert [(w.turn, w.loop) for w in (one, two, three)] == [(1, 1), (2, 1), (3, 2)]
    assert one.run == two.run == three.run is not None


def test_stops_can_be_pickled(make_guard: Any) -> None:
    """They cross process pools with their facts."""
    guard = make_guard(budgets=[Budget("0.01 USD")], prices=CENT)
    with pytest.raises(RefusedError) as caught:
        guard.model_call("cent", max_output_tokens=5)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.available, copy.summary) == (
        RefusedError,
        str(caught.value),
        Decimal("0.01"),
        caught.value.summary,
    )


def test_spend_latches_and_kills_survive_a_restart(tmp_path: Path) -> None:
    """Another guard on the same file."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    one = Guard(app="x", store=url, prices=CENT, budgets=[Budget("0.05 USD")])
    with one.session("s"):
        assert spend(one, 3) == 3
    one.kill("agent:planner", reason="runaway", by="ann")
    one.close()
    two = Guard(app="x", store=url, prices=CENT, budgets=[Budget("0.05 USD")])
    with two.session("s", agent="planner"), pytest.raises(TrippedError, match="runaway"):
        two.model_call("cent", max_output_tokens=1)
    assert two.reset("agent:planner", reason="fixed", by="bob") is True
    with two.session("s", agent="planner"):
        assert spend(two, 9) == 2
    assert next(iter(two.store.latches().values())).state is LatchState.OPEN
    two.close()
