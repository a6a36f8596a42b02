"""A sub-agent of LangChain's in `with session.child(...)`: its calls spend its part, whatever tree LangChain sees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool

from runguard_core import Budget, StoppedError
from runguard_core.testing import Reply
from runguard_langchain import RunGuardCallbackHandler
from tests.integrations.langchain.conftest import lookup, looping, openai
from tests.integrations.ledger import calls

ASK = {"messages": [("user", "hi")]}
DONE = Reply(text="done", input_tokens=10, output_tokens=2)


def delegating(request: Any) -> Reply:
    """The parent delegates once; the child looks something else up for ever."""
    if "delegate" in str(request.body.get("tools")):
        return DONE if "child" in str(request.body["messages"][1:]) else looping("delegate", task="x")
    return looping(q=f"page {request.index}")


def test_a_sub_agent_called_by_a_tool_spends_its_part_and_the_parent_goes_on(serve: Any, make_guard: Any) -> None:
    """LangChain hangs the child's calls under the parent's tool; the block is further in."""
    provider, guard = serve(delegating), make_guard(budgets=[Budget("9 calls", per="session")])
    child = create_agent(openai(provider), [lookup], name="child")

    @tool
    def delegate(task: str) -> str:
        """Hand a task to the child."""
        try:
            with guard.child("3 calls", name="child"):
                child.invoke({"messages": [("user", task)]})
        except StoppedError as stop:
            return f"child was stopped: {stop}"
        return "child is done"

    parent = create_agent(openai(provider), [delegate], name="parent")
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)], "configurable": {"thread_id": "t"}}
    answer = parent.invoke(ASK, config=config)
    assert answer["messages"][-1].content == "done"
    assert "sub-agent child" in answer["messages"][-2].content
    assert [(call.attribution.agent, call.attribution.session) for call in calls(guard)] == [
        ("parent", "t"), ("child", "t"), ("child", "t"), ("child", "t"), ("parent", "t"),
    ]  # fmt: skip
    (part,) = calls(guard, "child")
    own, *childs, last = [call.attribution.run for call in calls(guard)]
    assert own == last == part.attribution.run
    assert set(childs) == {part.id}
    assert [latch.scope_id for latch in guard.store.latches().values()] == [part.id]
    (row,) = [row for row in guard.store.accounts() if row.account.title == "session t"]
    assert (row.balance.posted, row.balance.pending) == (5, 0)


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_two_agents_in_one_block_share_its_part(serve: Any, make_guard: Any, how: str) -> None:
    """Each is a root of LangChain's own; both are the sub-agent's work."""
    provider, guard = serve([DONE]), make_guard(budgets=[Budget("9 calls", per="session")])
    model = openai(provider)
    agents = [create_agent(model, [lookup], name=name, middleware=()) for name in ("a", "b", "c")]
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)]}

    def once(agent: Any) -> None:
        if how == "stream":
            list(agent.stream(ASK, config=config))
        else:
            agent.invoke(ASK, config=config)

    with guard.session("s") as session, session.child("2 calls", name="pair") as child:
        once(agents[0])
        once(agents[1])
        with pytest.raises(StoppedError):
            once(agents[2])
    assert {call.attribution.run for call in calls(guard)} == {child.run}
    assert provider.request_count == 2


async def test_parallel_sub_agents_do_not_mix(serve: Any, make_guard: Any) -> None:
    """Tasks with a part each."""
    provider, guard = serve(delegating), make_guard(budgets=[Budget("20 calls", per="session")])
    agent = create_agent(openai(provider), [lookup], name="child")
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)], "recursion_limit": 50}

    async def work(session: Any, most: int) -> int:
        async with session.child(f"{most} calls", name=f"c{most}") as child:
            with pytest.raises(StoppedError):
                await agent.ainvoke(ASK, config=config)
        return len([call for call in child.calls() if call.kind == "model"])

    async with guard.session("s") as session:
        assert await asyncio.gather(*[work(session, most) for most in (1, 2, 3)]) == [1, 2, 3]
