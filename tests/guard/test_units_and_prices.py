"""Units, quotes, prices, threads and restarts, without a framework."""

from __future__ import annotations

import asyncio
import pickle
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runguard_core import (
    Budget,
    CallFilter,
    Guard,
    ModelCall,
    PromptPart,
    RefusedError,
    TrippedError,
    Usage,
    current_session,
)
from runguard_core import events as ev
from runguard_core.ledger import LatchState

from .clock import FakeClock
from .spending import CENT, ONE, kinds, spend


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


def test_a_policys_price_for_the_model_asked_for_holds_for_the_one_that_answers(make_guard: Any) -> None:
    """A deployment's own name, a gateway's alias; unless the policy prices the answering name as well."""
    from runguard_core.prices import PriceBook, PriceOverride

    mine, theirs = (PriceOverride(nanos_per_mtok={"input": each * 10**9}) for each in (1, 3))
    guard = make_guard(prices=PriceBook({"openai/gpt-4o-mini": mine, "gpt-4o": theirs}))
    for answered in ("gpt-4o-mini-2024-07-18", "gpt-4o"):
        guard.reserve(ModelCall(model="openai/gpt-4o-mini")).post(Usage(input_tokens=1000), model=answered)
    assert [call.cost_nanos for call in guard.store.calls(CallFilter())] == [1_000_000, 3_000_000]
