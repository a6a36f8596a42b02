"""A sub-agent of LlamaIndex's in `with session.child(...)`: its calls spend its part, also inside a tool of another agent."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool

from runguard_core import Budget, StoppedError
from runguard_core.testing import Reply, Request, ToolUse
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls
from tests.integrations.llama_index.conftest import HI, LOOKUP, USED, Guarded, openai


def delegating(request: Request) -> Reply:
    """The parent delegates once; the child looks something else up for ever."""
    told = str(request.body["messages"])
    if "delegate" in str(request.body.get("tools")):
        return (
            Reply(text="done", **USED) if "child was" in told else Reply(tool_calls=(ToolUse("delegate", {"task": "x"}),), **USED)
        )
    return Reply(tool_calls=(ToolUse("lookup", {"q": f"page {request.index}"}),), **USED)


def test_a_sub_agent_called_by_a_tool_spends_its_part_and_the_parent_goes_on(guarded: Guarded, serve: Serve) -> None:
    """Each agent's workflow runs in tasks of its own; the block goes with them."""
    provider, guard = serve(delegating), guarded(budgets=[Budget("9 calls", per="session")])

    async def delegate(task: str) -> str:
        """Hand a task to the child."""
        child = FunctionAgent(tools=[LOOKUP], llm=openai(provider), name="child")
        try:
            async with guard.child("3 calls", name="child"):
                await child.run(task)
        except StoppedError as stop:
            return f"child was stopped: {stop}"
        return "child was done"

    async def main() -> str:
        parent = FunctionAgent(tools=[FunctionTool.from_defaults(async_fn=delegate)], llm=openai(provider), name="parent")
        async with guard.session("s"):
            return str(await parent.run("hi"))

    assert asyncio.run(main()) == "done"
    assert [call.attribution.agent for call in calls(guard)] == ["parent", "child", "child", "child", "parent"]
    (part,) = calls(guard, "child")
    own, *childs, last = [call.attribution.run for call in calls(guard)]
    assert own == last == part.attribution.run
    assert set(childs) == {part.id}
    (row,) = [row for row in guard.store.accounts() if row.account.title == "session s"]
    assert (row.balance.posted, row.balance.pending) == (5, 0)


def test_plain_calls_inside_the_block_spend_the_part(guarded: Guarded, serve: Serve) -> None:
    """Over the part nothing is sent."""
    provider, guard = serve(), guarded(budgets=[Budget("9 calls", per="session")])
    with guard.session("s") as session, session.child("2 calls", name="helper") as child:
        openai(provider).chat(HI)
        list(openai(provider).stream_chat(HI))
        with pytest.raises(StoppedError, match="sub-agent helper"):
            openai(provider).chat(HI)
    assert provider.request_count == 2
    assert {call.attribution.run for call in calls(guard)} == {child.run}
