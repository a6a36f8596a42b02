"""P25 to P33: caches, threads, middleware, limits of rate, many at once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.rate_limiters import BaseRateLimiter
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict

from runguard_core import Budget, StoppedError
from runguard_core.calls import Certainty
from runguard_core.ledger import CallState
from runguard_core.testing import Reply, ToolUse
from runguard_langchain import RunGuardCallbackHandler, RunGuardMiddleware, activate, guard_model
from tests.integrations.langchain.conftest import lookup, looping, openai
from tests.integrations.ledger import calls, tokens

ASK = {"messages": [("user", "hi")]}


class Nothing(TypedDict, total=False):
    """A state of which nothing is passed on."""

    x: str


class Answer(BaseModel):
    """What a structured answer looks like."""

    city: str


def test_p25_several_choices_are_billed_once(serve: Any, make_guard: Any) -> None:
    """Every generation repeats the whole bill."""
    provider, guard = serve([Reply(input_tokens=100, output_tokens=20)]), make_guard()
    with activate(guard):
        openai(provider, n=2).generate([[HumanMessage("hi")]])
    assert tokens(guard) == (provider.input_tokens, provider.output_tokens) == (100, 40)


def test_p26_a_hit_of_langchains_cache_costs_nothing_and_is_recorded(serve: Any, make_guard: Any) -> None:
    """Start and end fire for a hit, with the usage of the first answer."""
    provider, guard = serve(), make_guard()
    set_llm_cache(InMemoryCache())
    try:
        with activate(guard):
            model = openai(provider)
            model.invoke("hi")
            model.invoke("hi")
    finally:
        set_llm_cache(None)
    first, hit = calls(guard)
    assert provider.request_count == 1
    assert first.cost_nanos > 0
    assert (hit.cost_nanos, hit.settlement.from_cache) == (0, True)


def test_p27_an_answer_that_does_not_parse_is_still_billed(serve: Any, make_guard: Any) -> None:
    """HTTP 200, then a validation error: on_llm_error without usage."""
    provider, guard = serve([Reply(text="not json")]), make_guard()
    with pytest.raises(Exception), activate(guard):  # noqa: B017
        openai(provider).with_structured_output(Answer).invoke("where?")
    (call,) = calls(guard)
    assert call.state is CallState.POSTED
    assert call.cost_nanos > 0
    assert call.settlement.certainty is Certainty.ESTIMATED


@pytest.mark.parametrize("attach", ["install", "guard_model"])
def test_p28_bare_threads_and_loops_of_their_own_are_seen(serve: Any, make_guard: Any, attach: str) -> None:
    """Config and context variables do not reach them."""
    provider, guard = serve(), make_guard(budgets=[Budget("3 calls")])
    model: Any = openai(provider)
    if attach == "install":
        guard.install("langchain")
    else:
        model = guard_model(model, guard)
    thread = threading.Thread(target=model.invoke, args=("hi",))
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(model.invoke, "hi").result()
        pool.submit(lambda: asyncio.run(model.ainvoke("hi"))).result()
        with pytest.raises(StoppedError):
            pool.submit(model.invoke, "hi").result()
    assert provider.request_count == len(calls(guard)) == 3


def test_p29_model_calls_of_other_middleware_are_metered(serve: Any, make_guard: Any) -> None:
    """A summary made by middleware is a paid call."""
    provider, guard = (
        serve(lambda r: looping(q="a") if r.index == 1 else Reply(input_tokens=50, output_tokens=5)),
        make_guard(),
    )
    summary = SummarizationMiddleware(model=openai(provider), trigger=("messages", 2), keep=("messages", 1))
    agent = create_agent(openai(provider), [lookup], middleware=[summary])
    history = [("user", "a"), ("assistant", "b"), ("user", "c")]
    agent.invoke({"messages": history}, config={"callbacks": [RunGuardCallbackHandler(guard)]})
    assert len(calls(guard)) == provider.request_count >= 3
    assert tokens(guard) == (provider.input_tokens, provider.output_tokens)


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream"])
def test_p30_a_graceful_end_leaves_a_thread_that_can_go_on(serve: Any, make_guard: Any, how: str) -> None:
    """No tool call is left without an answer, also with three at once; the next run is a probe and passes."""
    many = Reply(tool_calls=tuple(ToolUse("lookup", {"q": q}, id=f"c{q}") for q in "abc"), input_tokens=10, output_tokens=5)
    provider = serve(lambda r: many if r.index < 3 else Reply(text="done", input_tokens=10, output_tokens=5))
    guard = make_guard(budgets=[Budget("2 calls", per=["run"])])
    agent = create_agent(openai(provider), [lookup], middleware=[RunGuardMiddleware(guard)], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": f"t-{how}"}}
    if how == "invoke":
        agent.invoke(ASK, config=config)
    elif how == "ainvoke":
        asyncio.run(agent.ainvoke(ASK, config=config))
    else:
        list(agent.stream(ASK, config=config))
    messages = agent.get_state(config).values["messages"]
    asked = {call["id"] for m in messages if isinstance(m, AIMessage) for call in m.tool_calls}
    assert asked == {m.tool_call_id for m in messages if m.type == "tool"}
    assert messages[-1].response_metadata["runguard"]["stopped"] is True
    assert provider.request_count == 2
    answer = agent.invoke({"messages": [("user", "again")]}, config=config)
    assert provider.request_count > 2
    assert answer["messages"][-1].type == "ai"


def test_p31_a_stopped_agent_has_no_structured_response(serve: Any, make_guard: Any) -> None:
    """Documented: `structured_response` is missing or None after a graceful end."""
    provider, guard = serve(lambda r: looping(q=str(r.index))), make_guard(budgets=[Budget("1 call", per=["run"])])
    agent = create_agent(openai(provider), [lookup], middleware=[RunGuardMiddleware(guard)], response_format=Answer)
    state = agent.invoke(ASK)
    assert state.get("structured_response") is None
    assert state["messages"][-1].response_metadata["runguard"]["rule"] == "budget"


def test_p32_waiting_for_a_rate_limiter_keeps_the_hold(serve: Any, make_guard: Any) -> None:
    """The limiter is asked after our reserve: the hold is there while it waits."""
    seen: list[int] = []

    class Limiter(BaseRateLimiter):
        def acquire(self, *, blocking: bool = True) -> bool:
            seen.append(len([c for c in calls(guard) if c.state is CallState.PENDING]))
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire()

    provider, guard = serve(), make_guard()
    with activate(guard):
        openai(provider, rate_limiter=Limiter()).invoke("hi")
    assert seen == [1]
    assert calls(guard)[0].state is CallState.POSTED


def test_p33_twenty_parallel_branches_share_five_calls(serve: Any, make_guard: Any) -> None:
    """Exactly five are sent, and every other branch is refused."""
    provider, guard = serve(), make_guard(budgets=[Budget("5 calls")])
    model, refused = openai(provider), []

    async def branch(state: Nothing) -> Nothing:
        try:
            await model.ainvoke("hi")
        except StoppedError as error:
            refused.append(error)
        return {}

    graph: Any = StateGraph(Nothing)
    for index in range(20):
        graph.add_node(f"n{index}", branch)
        graph.add_edge(START, f"n{index}")
        graph.add_edge(f"n{index}", END)
    asyncio.run(graph.compile().ainvoke({}, config={"callbacks": [RunGuardCallbackHandler(guard)]}))
    assert provider.request_count == len(calls(guard)) == 5
    assert len(refused) == 15


def test_p33_forty_agents_on_one_handler_lose_and_leak_nothing(serve: Any, make_guard: Any) -> None:
    """80 calls, 80 entries, no hold left, no state left."""
    provider = serve(
        lambda r: Reply(input_tokens=30, output_tokens=4) if "found" in str(r.body["messages"][-1]) else looping(q="a")
    )
    guard = make_guard()
    handler = RunGuardCallbackHandler(guard)
    agent = create_agent(openai(provider), [lookup], name="worker")

    async def all_of_them() -> None:
        await asyncio.gather(*(agent.ainvoke(ASK, config={"callbacks": [handler]}) for _ in range(40)))

    asyncio.run(all_of_them())
    assert len(calls(guard)) == provider.request_count == 80
    assert tokens(guard) == (provider.input_tokens, provider.output_tokens)
    assert all(call.state is CallState.POSTED for call in calls(guard))
    assert len(handler._tree) == 0
    assert not handler._prompts
