"""LangChain over LiteLLM, both adapters installed: one call is one entry, and attempts that fail are entries too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_litellm import ChatLiteLLM, ChatLiteLLMRouter

import runguard_langchain
from runguard_core import Budget, Guard, StoppedError
from runguard_core.testing import FakeProvider, Reply, ToolUse
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls, states, tokens
from tests.integrations.litellm.conftest import run
from tests.integrations.litellm.test_gate import router

Guarded = Callable[..., Guard]
USED = {"input_tokens": 100, "output_tokens": 20}


@pytest.fixture
def both(guarded: Guarded) -> Iterator[Guarded]:
    """A guard that is installed in LangChain and in LiteLLM."""

    def make(**settings: Any) -> Guard:
        guard = guarded(**settings)
        runguard_langchain.install(guard)
        return guard

    yield make
    runguard_langchain.uninstall()


def chat(provider: FakeProvider, **more: Any) -> ChatLiteLLM:
    """LangChain's model over LiteLLM."""
    given = {"model": "openai/gpt-4o-mini", "api_base": provider.openai_url, "api_key": "x", "max_retries": 0, **more}
    return ChatLiteLLM(**given)


@tool
def lookup(q: str = "x") -> str:
    """Look something up."""
    return f"found {q}"


async def _drain(stream: Any) -> None:
    async for _ in stream:
        pass


WAYS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda model: model.invoke("hi"),
    "ainvoke": lambda model: run(model.ainvoke("hi")),
    "stream": lambda model: list(model.stream("hi")),
    "astream": lambda model: run(_drain(model.astream("hi"))),
    "batch": lambda model: model.batch(["hi"]),
}


@pytest.mark.parametrize("is_routed", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_one_call_is_one_entry(way: str, is_routed: bool, both: Guarded, serve: Serve) -> None:
    """Exact, whoever settled it; over the cap nothing is sent."""
    provider = serve([Reply(**USED)])
    guard = both(budgets=[Budget("1 calls", period="lifetime")])
    model = ChatLiteLLMRouter(router=router(provider), model_name="chat") if is_routed else chat(provider)
    WAYS[way](model)
    assert states(guard) == ["posted"]
    assert tokens(guard) == (100, 20)
    with pytest.raises(StoppedError):
        WAYS[way](model)
    assert provider.request_count == 1


def test_an_agents_turns_are_langchains(both: Guarded, serve: Serve) -> None:
    """LiteLLM's view adds nothing and loses nothing: two turns, one tool, the agent's name."""
    provider = serve([Reply(tool_calls=(ToolUse("lookup", {"q": "a"}),), **USED), Reply(**USED)])
    guard = both()
    agent = create_agent(chat(provider), [lookup], name="planner")
    agent.invoke({"messages": [("user", "go")]})
    assert [(c.attribution.agent, c.attribution.turn) for c in calls(guard)] == [("planner", 1), ("planner", 2)]
    assert len(calls(guard, "tool")) == 1
    assert provider.request_count == 2


def test_attempts_below_are_entries_of_their_own(both: Guarded, serve: Serve) -> None:
    """The router fails twice inside one call of LangChain; nothing is doubled."""
    provider = serve([Reply(status=500), Reply(status=500), Reply(**USED)])
    guard = both()
    ChatLiteLLMRouter(router=router(provider, retry_after=0), model_name="chat").invoke("hi")
    assert provider.request_count == 3
    assert states(guard) == ["posted", "voided", "voided"]
    assert tokens(guard) == (100, 20)
    assert {c.attribution.turn for c in calls(guard)} == {1}


def test_a_call_between_two_chunks_is_a_call_of_its_own(both: Guarded, serve: Serve) -> None:
    """The stream's owner does not cover what the program does with its pieces."""
    provider = serve([Reply(text="a b c d e f", **USED)])
    guard = both()
    model = chat(provider)
    for place, _ in enumerate(model.stream("hi")):
        if place == 1:
            model.invoke("inner")
    assert provider.request_count == 2
    assert states(guard) == ["posted", "posted"]
    assert tokens(guard) == (200, 40)


def test_a_tool_that_calls_litellm_itself_is_the_agents_spend(both: Guarded, serve: Serve) -> None:
    """Its own entry, under the agent whose tool it is."""
    import litellm

    provider = serve([Reply(tool_calls=(ToolUse("think", {}),), **USED), Reply(**USED), Reply(**USED)])
    guard = both()

    @tool
    def think() -> str:
        """Ask another model."""
        given = {"api_base": provider.openai_url, "api_key": "x"}
        answer = litellm.completion(model="openai/gpt-4o", messages=[{"role": "user", "content": "q"}], **given)
        return str(answer.choices[0].message.content)

    create_agent(chat(provider), [think], name="planner").invoke({"messages": [("user", "go")]})
    assert provider.request_count == 3
    assert [(c.name, c.attribution.agent) for c in calls(guard)] == [
        ("openai/gpt-4o-mini", "planner"), ("gpt-4o", "planner"), ("openai/gpt-4o-mini", "planner"),
    ]  # fmt: skip
