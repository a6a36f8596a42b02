"""One attempt of one model is one entry: frameworks over frameworks, tools that call others, nested agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import litellm
import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from runguard_core import Budget, StoppedError
from runguard_core.testing import FakeProvider, Reply, Request, ToolUse
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls, states, tokens
from tests.integrations.litellm.conftest import run
from tests.integrations.together.conftest import Guarded, langchain_chat, over_litellm

HI = [ChatMessage("hi")]
USED = {"input_tokens": 100, "output_tokens": 20}


async def drained(stream: Any) -> None:
    """To its end."""
    async for _ in await stream:
        pass


WAYS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda m: m.chat(HI),
    "complete": lambda m: m.complete("hi"),
    "stream_chat": lambda m: list(m.stream_chat(HI)),
    "stream_complete": lambda m: list(m.stream_complete("hi")),
    "achat": lambda m: run(m.achat(HI)),
    "acomplete": lambda m: run(m.acomplete("hi")),
    "astream_chat": lambda m: run(drained(m.astream_chat(HI))),
}


@pytest.mark.parametrize("way", WAYS)
def test_l09_llamaindex_over_litellm_with_both_adapters_is_one_entry(way: str, guarded: Guarded, serve: Serve) -> None:
    """Exact, streams included; over the cap nothing is sent."""
    provider = serve([Reply(**USED)])
    guard = guarded(budgets=[Budget("1 calls", period="lifetime")])
    WAYS[way](over_litellm(provider))
    assert states(guard) == ["posted"]
    assert tokens(guard) == (100, 20)
    with pytest.raises(StoppedError):
        WAYS[way](over_litellm(provider))
    assert provider.request_count == 1


def asking(name: str, provider_of: Callable[[Request], bool] = lambda _: True) -> Callable[[Request], Reply]:
    """Ask for a tool once per conversation that offers it."""

    def reply(request: Request) -> Reply:
        offered = [one["function"]["name"] for one in request.body.get("tools") or ()]
        done = any(message.get("role") == "tool" for message in request.body["messages"])
        return Reply(tool_calls=(ToolUse(name, {"q": "a"}),) if name in offered and not done else (), **USED)

    return reply


def test_an_agent_of_llamaindex_over_litellm(guarded: Guarded, serve: Serve) -> None:
    """Turns, tool and agent are LlamaIndex's, each request once."""
    provider = serve(asking("lookup"))
    guard = guarded()

    def lookup(q: str) -> str:
        """Look something up."""
        return q

    agent = FunctionAgent(tools=[FunctionTool.from_defaults(lookup)], llm=over_litellm(provider), name="planner")
    run(_go(agent))
    assert provider.request_count == 2
    assert [(c.attribution.agent, c.attribution.turn) for c in calls(guard)] == [("planner", 1), ("planner", 2)]
    assert len(calls(guard, "tool")) == 1
    assert tokens(guard) == (200, 40)


async def _go(agent: Any) -> Any:
    return await agent.run("go")


def test_a_tool_of_langchain_that_asks_an_engine_of_llamaindex(guarded: Guarded, serve: Serve) -> None:
    """Three requests, three entries, all of the agent whose tool it is, in one run."""
    provider = serve(asking("search"))
    guard = guarded()
    engine = SummaryIndex.from_documents([Document(text="a")]).as_query_engine(llm=over_litellm(provider))

    @tool
    def search(q: str) -> str:
        """Search the documents."""
        return str(engine.query(q))

    create_agent(langchain_chat(provider), [search], name="planner").invoke({"messages": [("user", "go")]})
    assert provider.request_count == 3 == len(calls(guard))
    assert {c.attribution.run for c in calls(guard)} == {calls(guard)[0].attribution.run}
    assert tokens(guard) == (300, 60)


@pytest.mark.parametrize("outer", ["langchain", "llamaindex"])
def test_a_nested_agents_stop_ends_the_outer_one(outer: str, guarded: Guarded, serve: Serve) -> None:
    """However the frameworks wrap it, nothing is sent after it."""
    provider: FakeProvider = serve(asking("ask"))
    guard = guarded(budgets=[Budget("2 calls", period="lifetime")])

    def ask_langchain(q: str) -> str:
        """Ask the other agent."""
        return str(create_agent(langchain_chat(provider), [], name="inner").invoke({"messages": [("user", q)]}))

    def ask_llamaindex(q: str) -> str:
        """Ask the other agent."""
        return str(asyncio.run(_go(FunctionAgent(tools=[], llm=over_litellm(provider), name="inner"))))

    if outer == "langchain":
        agent = create_agent(langchain_chat(provider), [tool("ask")(ask_llamaindex)], name="outer")
        with pytest.raises(StoppedError):
            agent.invoke({"messages": [("user", "go")]})
    else:
        ask = FunctionTool.from_defaults(ask_langchain, name="ask")
        with pytest.raises(StoppedError):
            run(_go(FunctionAgent(tools=[ask], llm=over_litellm(provider), name="outer")))
    assert provider.request_count == 2 == len(calls(guard))
    assert [c.attribution.agent for c in calls(guard)] == ["outer", "inner"]


def test_frameworks_side_by_side_share_a_budget(guarded: Guarded, serve: Serve) -> None:
    """Six calls of three kinds, a cap of four."""
    provider = serve([Reply(**USED)])
    guard = guarded(budgets=[Budget("4 calls", period="lifetime")])
    given = {"model": "openai/gpt-4o-mini", "api_base": provider.openai_url, "api_key": "x"}
    ways: list[Callable[[], Any]] = [
        lambda: langchain_chat(provider).invoke("hi"),
        lambda: over_litellm(provider).chat(HI),
        lambda: litellm.completion(messages=[{"role": "user", "content": "hi"}], **given),
    ]
    passed = 0
    for way in ways * 2:
        try:
            way()
            passed += 1
        except StoppedError:
            pass
    assert passed == provider.request_count == len(calls(guard)) == 4
