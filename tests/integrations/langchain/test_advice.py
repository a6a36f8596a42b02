"""Advice: what was warned of is told to the agent where it can read it. Judged by what the provider received."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent

from runguard_core import Budget
from runguard_core import events as ev
from runguard_core.testing import Reply, Request
from runguard_langchain import RunGuardCallbackHandler, RunGuardMiddleware
from tests.integrations.langchain.conftest import anthropic, lookup, looping, openai
from tests.integrations.ledger import calls

ASK = {"messages": [("user", "hi")]}
#: The same call with the same result twice is warned of, and that is all.
SCRIPT = [looping(q="x"), looping(q="x"), looping(q="y"), Reply(text="done", input_tokens=100, output_tokens=5)]


def notes(request: Request) -> list[tuple[str, str]]:
    """Role and text of RunGuard's notes in a request."""
    found = []
    for message in request.body["messages"]:
        content = message["content"]
        texts = [content] if isinstance(content, str) else [block.get("text") or "" for block in content or ()]
        found += [(message["role"], text) for text in texts if "RunGuard" in text]
    return found


def agent(model: Any, guard: Any) -> Any:
    """A plain agent under the middleware."""
    return create_agent(model, [lookup], system_prompt="Be brief.", middleware=[RunGuardMiddleware(guard)])


@pytest.mark.parametrize("config", [{}, "handler"], ids=["middleware alone", "handler too"])
def test_the_agent_is_told_once_what_was_warned_of_and_what_is_left(serve: Any, make_guard: Any, config: Any) -> None:
    """Behind the messages of the next call, as a system message; the calls after it are as they would have been."""
    provider = serve(SCRIPT)
    guard = make_guard(advise=True, budgets=[Budget("1 USD", per=["session"], name="purse"), Budget("40 turns", per=["run"])])
    config = {"callbacks": [RunGuardCallbackHandler(guard)]} if config else {}
    result = agent(openai(provider), guard).invoke(ASK, config=config)
    assert [len(notes(request)) for request in provider.requests] == [0, 0, 1, 0]
    role, text = notes(provider.requests[2])[0]
    assert role == "system"
    assert "Lookup was called 2 times in a row with equal arguments and equal results." in text
    assert "of $1.00 (budget 'purse')" in text
    assert "38 of 40 turns (budget 'run')" in text
    assert text.endswith("Change your approach, or finish now with what you have.")
    assert provider.requests[2].body["messages"][-1]["content"] == text
    assert not any("RunGuard" in str(message.content) for message in result["messages"])
    told = [event for event in guard.store.events() if event.kind == ev.ADVISED]
    assert [event.facts["rules"] for event in told] == [["repeat"]]
    assert told[0].message in text


async def test_it_is_told_on_the_async_path(serve: Any, make_guard: Any) -> None:
    """The same."""
    provider, guard = serve(SCRIPT), make_guard(advise=True)
    await agent(openai(provider), guard).ainvoke(ASK)
    assert [len(notes(request)) for request in provider.requests] == [0, 0, 1, 0]


def test_where_system_messages_stand_only_in_front_it_is_a_users(serve: Any, make_guard: Any) -> None:
    """Anthropic's protocol; the note says that the user did not write it."""
    provider, guard = serve(SCRIPT), make_guard(advise=True)
    agent(anthropic(provider), guard).invoke(ASK)
    assert [len(notes(request)) for request in provider.requests] == [0, 0, 1, 0]
    role, text = notes(provider.requests[2])[0]
    assert role == "user"
    assert text.startswith("[Not from the user, but from RunGuard")


def test_by_default_no_prompt_is_changed(serve: Any, make_guard: Any) -> None:
    """Warned of, but not told."""
    provider, guard = serve(SCRIPT), make_guard()
    agent(openai(provider), guard).invoke(ASK)
    assert [notes(request) for request in provider.requests] == [[]] * 4
    assert [event.kind for event in guard.store.events()] == [ev.LOOP_WARNING]


def test_a_passed_threshold_is_told_too(serve: Any, make_guard: Any) -> None:
    """Before the money is gone, the agent hears of it."""
    provider = serve(SCRIPT)
    guard = make_guard(advise=True, budgets=[Budget("4 calls", per=["run"], thresholds=[0.5], name="few")])
    agent(openai(provider), guard).invoke(ASK)
    said = [notes(request) for request in provider.requests]
    assert "passed 50%" in said[2][0][1]
    assert "2 of 4 calls (budget 'few')" in said[2][0][1]


def test_a_note_is_no_message_of_the_user(serve: Any, make_guard: Any) -> None:
    """The tool loop goes on, and the ledger knows the note's size apart."""
    provider, guard = serve(SCRIPT), make_guard(advise=True)
    agent(openai(provider), guard).invoke(ASK)
    made = calls(guard)
    assert [call.attribution.loop for call in made] == [1, 1, 1, 1]
    assert [[part.origin for part in call.parts if part.origin == "advice"] for call in made] == [[], [], ["advice"], []]


def test_runs_do_not_hear_of_each_other(serve: Any, make_guard: Any) -> None:
    """A warning belongs to the run that it was said of."""
    provider, guard = serve([looping(q="x"), looping(q="x"), Reply(text="done"), Reply(text="other")]), make_guard(advise=True)
    made = agent(openai(provider), guard)
    made.invoke(ASK)
    made.invoke(ASK)
    assert [len(notes(request)) for request in provider.requests] == [0, 0, 1, 0]
