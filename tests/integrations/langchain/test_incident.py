"""The reference incident, played: a research bot whose window overflows at turn 87, whose client then drops the oldest messages,
the system prompt first, and which retries against a 429 until somebody wakes up. Where RunGuard stops it, and what is left
when one of its rules is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from runguard_core import StoppedError
from runguard_core import events as ev
from runguard_core.testing import Reply, ToolUse
from runguard_langchain import activate
from tests.guard.clock import FakeClock
from tests.integrations.langchain.conftest import openai

WINDOW_CHARS = 8192 * 4 - 2500
#: 812 calls in 43 minutes.
CALLS, SECONDS = 812, 43 * 60 / 812
PAGE = "price " * 58
#: The provider has had enough; 36 minutes are left.
REFUSED_FROM = 100


@dataclass
class Night:
    """How it went: requests that arrived, minutes until it was over, what stopped it."""

    requests: int
    minutes: float
    rule: str | None
    without_system: int


def bot(provider: Any, guard: Any, clock: FakeClock, calls: int) -> Night:
    """A loop as such bots are written: its history is cut so that it fits, every error is a reason to try again."""
    model = openai(provider, model="gpt-4")
    system, history = SystemMessage("You are a research assistant. Stop when you have enough." * 3), []
    turn, began, rule = 0, clock.monotonic(), None
    with activate(guard), guard.session("night", agent="browser"):
        for _ in range(calls):
            prompt = [system, HumanMessage("Find all prices."), *history]
            while sum(len(str(message.content)) for message in prompt) > WINDOW_CHARS:
                prompt = prompt[1:]  # silently, the oldest first
            while isinstance(prompt[0], ToolMessage):
                prompt = prompt[1:]  # an answer to nothing would be refused
            clock.advance(seconds=SECONDS)
            try:
                model.invoke(prompt)
            except StoppedError as stop:
                rule = getattr(stop, "rule", None)
                break
            except Exception:  # noqa: BLE001  that is what the bot does
                continue
            turn += 1
            call = {"name": "open_page", "args": {"n": turn}, "id": f"c{turn}"}
            history += [
                AIMessage("", tool_calls=[call]),
                ToolMessage(f"Page {turn}. " + PAGE, tool_call_id=f"c{turn}", name="open_page"),
            ]
    without = sum(request.body["messages"][0]["role"] != "system" for request in provider.requests)
    return Night(provider.request_count, (clock.monotonic() - began) / 60, rule, without)


def answer(request: Any) -> Reply:
    """Everything is refused once the provider has had enough; else the next page is asked for."""
    if request.index >= REFUSED_FROM:
        return Reply(status=429)
    return Reply(tool_calls=(ToolUse("open_page", {"n": request.index}),))


def night(serve: Any, make_guard: Any, calls: int = CALLS, **settings: Any) -> tuple[Night, Any]:
    """One night under a policy."""
    provider = serve(answer)
    clock = FakeClock()
    guard = make_guard(clock=clock, hold_seconds=10**6, **settings)
    return bot(provider, guard, clock, calls), guard


def test_it_is_warned_of_before_the_overflow_and_stopped_at_the_second_prompt_without_its_system_prompt(
    serve: Any, make_guard: Any
) -> None:
    """At minute 4 or 5 of 43, before the first of the refusals."""
    found, guard = night(serve, make_guard)
    assert found.rule == "truncation"
    assert found.without_system == 1
    assert 80 <= found.requests <= 90
    assert found.minutes < 5
    said = [event.facts["rule"] for event in guard.store.events() if event.kind == ev.LOOP_WARNING]
    assert said.index("overflow") < said.index("truncation")


def test_without_that_rule_the_refusals_stop_it(serve: Any, make_guard: Any) -> None:
    """After ten, at minute 6."""
    found, _ = night(serve, make_guard, detector_modes={"truncation": "off"})
    assert (found.rule, found.requests) == ("rate_limit", REFUSED_FROM + 10)
    assert found.minutes == pytest.approx(5.9, abs=0.1)


def test_without_both_nothing_does(serve: Any, make_guard: Any) -> None:
    """As long as it is let: forty refusals are as good as six hundred."""
    found, _ = night(serve, make_guard, REFUSED_FROM + 40, detector_modes={"truncation": "off", "rate_limit": "off"})
    assert (found.rule, found.requests) == (None, REFUSED_FROM + 40)


def test_a_client_that_does_not_cut_is_stopped_before_the_overflow(
    serve: Any, make_guard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prompt that would not fit is not sent; pages are longer here, so that one turn leads past the window."""
    monkeypatch.setattr("tests.integrations.langchain.test_incident.WINDOW_CHARS", 10**9)
    monkeypatch.setattr("tests.integrations.langchain.test_incident.PAGE", "price " * 400)
    found, _ = night(serve, make_guard)
    assert found.rule == "overflow"
    assert found.without_system == 0
    assert 8 <= found.requests <= 14
