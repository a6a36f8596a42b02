"""Detectors of model calls with real LangChain over real HTTP: what the provider is sent, and what it is not."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, SummarizationMiddleware
from langchain_core.messages import RemoveMessage, trim_messages
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from runguard_core import StoppedError
from runguard_core import events as ev
from runguard_core.testing import Reply, ToolUse
from runguard_langchain import RunGuardCallbackHandler, activate
from tests.integrations.langchain.conftest import openai
from tests.integrations.ledger import calls

PAGE = "All work and no play makes Jack a dull boy. " * 90  # about 4,000 characters, a thousand tokens


@tool
def read_page(number: int) -> str:
    """A page of the book."""
    return f"Page {number}. {PAGE}"


def reading(request: Any) -> Reply:
    """Ask for the next page, for ever."""
    return Reply(tool_calls=(ToolUse("read_page", {"number": request.index}),))


def said(guard: Any, kind: str) -> list[tuple[str, str]]:
    """Rule and sentence of every event of a kind."""
    return [(event.facts["rule"], event.message) for event in guard.store.events() if event.kind == kind]


def run(agent: Any, guard: Any, turns: int = 25) -> StoppedError | None:
    """Ask until the agent is stopped, or has had its turns."""
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)], "recursion_limit": 4 * turns}
    try:
        agent.invoke({"messages": [("user", "Read the book.")]}, config=config)
    except StoppedError as stop:
        return stop
    except Exception as error:  # noqa: BLE001  the framework's own limit
        assert "recursion" in str(error).lower()
    return None


def test_a_prompt_that_will_not_fit_is_not_sent(serve: Any, make_guard: Any) -> None:
    """gpt-4 reads 8,192 tokens: the provider never sees more, and the sentence says what would not have fitted."""
    provider, guard = serve(reading), make_guard()
    stop = run(create_agent(openai(provider, model="gpt-4"), [read_page], system_prompt="You read books."), guard)
    assert stop is not None
    assert stop.rule == "overflow"
    assert max(request.input_tokens for request in provider.requests) <= 8192
    assert provider.request_count == len(calls(guard))
    assert 8 <= provider.request_count <= 9
    assert [rule for rule, _ in said(guard, ev.LOOP_WARNING)] == ["overflow"]


class Trimming(AgentMiddleware):
    """What silently drops the oldest messages, as a client library or a gateway does."""

    def __init__(self, *, keep_system: bool) -> None:
        super().__init__()
        self.keep_system = keep_system

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        """The latest messages that fit into 7,000 characters or so."""
        if len(request.messages) < 8:
            return handler(request)
        kept = trim_messages(request.messages, max_tokens=5, token_counter=len, start_on="ai")
        return handler(request.override(messages=kept, **({} if self.keep_system else {"system_message": None})))


def test_a_system_prompt_that_is_dropped_in_silence_stops_the_run(serve: Any, make_guard: Any) -> None:
    """One request without it is announced, the second does not reach the provider."""
    provider, guard = serve(reading), make_guard()
    agent = create_agent(openai(provider), [read_page], system_prompt="You read books.", middleware=[Trimming(keep_system=False)])
    stop = run(agent, guard)
    assert stop is not None
    assert stop.rule == "truncation"
    assert "the system prompt of 15 characters was dropped with at least" in str(stop)
    without = [request.index for request in provider.requests if request.body["messages"][0]["role"] != "system"]
    assert without == [provider.request_count - 1]
    assert [rule for rule, _ in said(guard, ev.LOOP_WARNING)] == ["truncation"]


def test_messages_that_are_dropped_in_silence_are_announced(serve: Any, make_guard: Any) -> None:
    """With the system prompt kept, it is a warning, once."""
    provider, guard = serve(reading), make_guard()
    agent = create_agent(openai(provider), [read_page], system_prompt="You read books.", middleware=[Trimming(keep_system=True)])
    assert run(agent, guard, turns=12) is None
    assert [rule for rule, _ in said(guard, ev.LOOP_WARNING)] == ["truncation"]


def test_langchains_own_summaries_are_left_alone(serve: Any, make_guard: Any) -> None:
    """SummarizationMiddleware puts a message in place of what it drops; its own call is no round of the loop."""

    def script(request: Any) -> Reply:
        return (
            reading(request)
            if request.body.get("tools")
            else Reply(text="They read pages about Jack. " * (1 + request.index % 7))
        )

    provider, guard = serve(script), make_guard()
    shorten = SummarizationMiddleware(openai(provider), trigger=("messages", 10), keep=("messages", 4))
    assert run(create_agent(openai(provider), [read_page], system_prompt="You read books.", middleware=[shorten]), guard) is None
    assert any(not request.body.get("tools") for request in provider.requests)
    assert said(guard, ev.LOOP_WARNING) == []


class Forgetting(AgentMiddleware):
    """Another one: the state itself is cut, a summary is put into the system prompt."""

    def before_model(self, state: Any, runtime: Any) -> Any:
        """Only the latest round is kept."""
        if len(state["messages"]) < 10:
            return None
        kept = state["messages"][-2:]
        told = "Read the book. So far: " + "Jack works and does not play. " * int(
            kept[1].content.split(".")[0].removeprefix("Page ")
        )
        return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), ("user", told), *kept]}


def test_a_compacted_state_is_left_alone(serve: Any, make_guard: Any) -> None:
    """What was dropped is told in the user's message."""
    provider, guard = serve(reading), make_guard()
    assert run(create_agent(openai(provider), [read_page], system_prompt="You read.", middleware=[Forgetting()]), guard) is None
    assert said(guard, ev.LOOP_WARNING) == []


def test_a_cascade_of_refusals_is_stopped_whatever_is_asked(serve: Any, make_guard: Any) -> None:
    """A program that tries again for ever, with another question each time; the eleventh request is not made."""
    provider, guard = serve([Reply(status=429)]), make_guard()
    model = openai(provider)
    with activate(guard), guard.session("s"):
        for attempt in range(200):
            with contextlib.suppress(Exception):
                model.invoke(f"Attempt {attempt}: please?")
    assert provider.request_count == 10
    assert [rule for rule, _ in said(guard, ev.RUN_TRIPPED)] == ["rate_limit"]
    assert "refused 10 attempts in a row with 429" in said(guard, ev.RUN_TRIPPED)[0][1]


def test_retries_that_succeed_are_left_alone(serve: Any, make_guard: Any) -> None:
    """Two refusals before every answer, thirty times."""
    provider = serve(lambda request: Reply(status=429) if request.index % 3 else Reply())
    guard = make_guard()
    model = openai(provider).with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    with activate(guard), guard.session("s"):
        for _ in range(30):
            model.invoke("hi")
    assert said(guard, ev.RUN_TRIPPED) == said(guard, ev.LOOP_WARNING) == []


def test_a_lone_call_is_judged_too(serve: Any, make_guard: Any) -> None:
    """Without a session or a run: a prompt of 60,000 tokens does not fit into 8,192 by any estimate."""
    provider, guard = serve(), make_guard()
    with pytest.raises(StoppedError, match="do not fit"):
        openai(provider, model="gpt-4").invoke("word " * 48_000, config={"callbacks": [RunGuardCallbackHandler(guard)]})
    assert provider.request_count == 0


@pytest.mark.parametrize("streaming", [False, True])
def test_a_parser_that_rejects_the_same_answer_for_ever_is_stopped(serve: Any, make_guard: Any, streaming: bool) -> None:
    """A retry loop over a parser: five answers of the same words, and the sixth prompt never reaches the provider."""
    text = '{"action": "Final Answer", "action_input": "Graz"'
    provider, guard = serve([Reply(text=text)]), make_guard()
    model = openai(provider, streaming=streaming)

    def retry(question: str, config: Any) -> None:
        messages: list[Any] = [("system", "Answer with JSON."), ("user", question)]
        for _ in range(12):
            messages += [model.invoke(messages, config), ("user", "Could not parse. Answer with JSON only.")]

    with pytest.raises(StoppedError) as caught:
        RunnableLambda(retry).invoke("Graz or Linz?", {"callbacks": [RunGuardCallbackHandler(guard)]})
    assert caught.value.rule == "same_answer"
    assert provider.request_count == 5
    assert {call.settlement.result_hash for call in calls(guard)} == {guard.fingerprint(text)}
    assert [rule for rule, _ in said(guard, ev.LOOP_WARNING)] == ["same_answer"]
