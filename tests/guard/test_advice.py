"""Notes for the agent in programs without a framework: what was warned of, what is left, once."""

from __future__ import annotations

from typing import Any

from runguard_core import Budget, ModelCall, PromptPart, Severity, ToolCall, Usage
from runguard_core import events as ev

from .spending import CENT, ONE
from .test_detectors import Said


def search(session: Any, times: int = 2) -> None:
    """The same call with the same result."""
    for _ in range(times):
        session.reserve(ToolCall(name="search", arguments={"q": "x"})).post(result="three of them")


def test_a_note_says_what_was_seen_and_what_is_left(make_guard: Any) -> None:
    """The tightest budget first; money as money."""
    guard = make_guard(
        advise=True, prices=CENT, budgets=[Budget("10 calls", per=["run"]), Budget("0.04 USD", per=["session"], name="purse")]
    )
    with guard.session("s") as session:
        session.reserve(ModelCall(model="cent", max_output_tokens=1)).post(ONE)
        assert guard.advice() is None
        search(session)
        note = guard.advice()
        assert note is not None
        assert note.startswith("Search was called 2 times in a row with equal arguments and equal results. ")
        assert "Left: $0.03 of $0.04 (budget 'purse'), 9 of 10 calls (budget 'run')." in note
        assert guard.advice() is None
    told = [event for event in guard.store.events() if event.kind == ev.ADVISED]
    assert [(event.message, event.facts["rules"], event.session) for event in told] == [(note, ["repeat"], "s")]


def test_without_budgets_it_says_what_was_seen(make_guard: Any) -> None:
    """Nothing is left or not left."""
    guard = make_guard(advise=True)
    with guard.session("s") as session:
        search(session)
        assert "Left" not in (guard.advice() or "Left")


def test_by_default_there_is_none(make_guard: Any) -> None:
    """Warned, but not asked to tell."""
    guard = make_guard()
    with guard.session("s") as session:
        search(session)
        assert guard.advice() is None


def test_only_an_announced_warning_is_told_and_only_the_latest_four(make_guard: Any) -> None:
    """Five rules warn; the oldest warning gives way."""
    guard = make_guard(advise=True, budgets=[Budget("100 calls", per=["run"], thresholds=[0.01, 0.02, 0.03, 0.04])])
    with guard.session("s") as session:
        search(session)
        for _ in range(4):
            session.reserve(ModelCall(model="gpt-4o-mini", parts=(PromptPart("user", 4),))).post(
                Usage(input_tokens=1, output_tokens=1)
            )
        note = guard.advice()
    assert note is not None
    assert note.count("passed") == 4
    assert "Search" not in note


def test_outside_of_a_run_there_is_nothing_to_say(make_guard: Any) -> None:
    """And what is unknown is no error."""
    guard = make_guard(advise=True)
    assert guard.advice() is None
    assert guard.advice(guard.attribution(run="never seen")) is None


def test_what_is_said_again_is_not_told_again(make_guard: Any) -> None:
    """A detector that warns after every call is announced once a run, and told once."""
    guard = make_guard(advise=True, detectors=(Said(Severity.WARN),))
    with guard.session("s") as session:
        search(session)
        assert guard.advice() is not None
        search(session)
        assert guard.advice() is None
