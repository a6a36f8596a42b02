"""What a detector's word leads to: warnings said once, stops that refuse the next call of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runguard_core import (
    Attribution,
    CallFilter,
    Guard,
    History,
    ModelCall,
    Outcome,
    Severity,
    Step,
    ToolCall,
    TrippedError,
    Verdict,
)
from runguard_core import events as ev
from runguard_core.detectors import default_detectors

from .spending import CENT, kinds


@dataclass(frozen=True)
class Said:
    """Says the same of every call that has ended."""

    severity: Severity
    rule: str = "mine"
    is_held: bool = False

    def before(self, history: History, step: Step) -> Verdict | None:
        """Nothing."""
        return None

    def after(self, history: History, step: Step) -> Verdict | None:
        """Always."""
        evidence = f"{step.tool} came to nothing"
        return Verdict(
            rule=self.rule, severity=self.severity, evidence=evidence, marks=(step.signature,), is_held=self.is_held
        )  # fmt: skip


@pytest.mark.parametrize("call", [ModelCall(model="cent"), ToolCall(name="other")], ids=["model", "tool"])
def test_a_stop_after_a_call_refuses_the_next_one_of_any_kind(make_guard: Any, call: Any) -> None:
    """The call itself is over and posted; nothing is raised where it ends."""
    guard = make_guard(prices=CENT, detectors=(Said(Severity.STOP),))
    with guard.session("s") as session:
        session.reserve(ToolCall(name="f")).post(result="")
        with pytest.raises(TrippedError) as caught:
            session.reserve(call)
    assert caught.value.rule == "mine"
    assert len(guard.store.calls(CallFilter(session="s"))) == 1
    assert kinds(guard).count(ev.RUN_TRIPPED) == 1


def test_a_stop_after_a_call_is_only_said_when_observing(make_guard: Any) -> None:
    """Once a run and rule, and every call goes on."""
    guard = make_guard(prices=CENT, detectors=(Said(Severity.STOP),), mode="observe")
    with guard.session("s") as session:
        for _ in range(3):
            session.reserve(ToolCall(name="f")).post(result="")
    assert kinds(guard).count(ev.WOULD_TRIP) == 1


def test_a_warning_is_said_once_for_each_rule_of_a_run(make_guard: Any) -> None:
    """Two rules, two runs: four announcements however often they warn."""
    guard = make_guard(prices=CENT, detectors=(Said(Severity.WARN), Said(Severity.WARN, "yours")))
    for _ in range(2):
        with guard.session("s") as session:
            for _ in range(3):
                session.reserve(ToolCall(name="f")).post(result="")
    assert kinds(guard).count(ev.LOOP_WARNING) == 4


@pytest.mark.parametrize("watched", ["repeat", "mine"])
def test_a_rule_that_is_only_watched_hides_none_that_is_enforced(make_guard: Any, watched: str) -> None:
    """Both see the same loop; the one that is watched says so, the other one stops it: at once, and where stops are held."""
    rules = (*default_detectors(), Said(Severity.STOP, is_held=True))
    guard = make_guard(prices=CENT, detectors=rules, detector_modes={watched: "observe"})
    with guard.session("s") as session, pytest.raises(TrippedError) as caught:
        for _ in range(7):
            session.reserve(ToolCall(name="f", arguments={"q": 1})).settle(Outcome(error="Boom: no"))
    assert caught.value.rule in {"mine", "repeat", "error_streak"} - {watched}
    assert [event.facts["rule"] for event in guard.store.events() if event.kind == ev.WOULD_TRIP] in ([watched], [])


def test_an_observed_loop_that_goes_on_is_stopped_by_the_next_rule(make_guard: Any) -> None:
    """*repeat* speaks first, at every call, and is only watched; *error streak* is not."""
    guard = make_guard(prices=CENT, detector_modes={"repeat": "observe"})
    with guard.session("s") as session, pytest.raises(TrippedError) as caught:
        for _ in range(7):
            session.reserve(ToolCall(name="f", arguments={"q": 1})).settle(Outcome(error="Boom: no"))
    assert caught.value.rule == "error_streak"
    assert kinds(guard).count(ev.WOULD_TRIP) == 1


def test_a_rule_that_trips_does_not_undo_a_persons_kill(make_guard: Any) -> None:
    """The session is killed while its call is under way; the stop at the end of that call would have made it a probe."""
    guard = make_guard(prices=CENT, detectors=(Said(Severity.STOP),))
    with guard.session("s") as session:
        call = session.reserve(ToolCall(name="f"))
        guard.kill("session:s", reason="enough", by="ann")
        call.post(result="")
    with guard.session("s") as session, pytest.raises(TrippedError, match="enough"):
        session.reserve(ModelCall(model="cent"))


def test_a_probe_that_passes_does_not_undo_a_persons_kill(make_guard: Any) -> None:
    """The session is killed while its probe runs, which then ends without a sign of the loop."""
    guard = make_guard(prices=CENT, detectors=(Said(Severity.STOP),))
    with guard.session("s") as session:
        session.reserve(ToolCall(name="f")).post(result="")
    with guard.session("s") as session:
        session.reserve(ModelCall(model="cent")).post()
        guard.kill("session:s", reason="enough", by="ann")
    assert guard.stopped(Attribution("app", session="s", run="next")) is not None


def test_a_stop_that_is_held_falls_when_a_person_asks_for_something_else(make_guard: Any) -> None:
    """The model has answered that it cannot; the next question has nothing to do with it. Without a prompt it holds."""
    guard = make_guard(prices=CENT)
    trouble = [("a", "OSError: gone"), ("b", "OSError: gone"), ("x", "OSError: no such file"), ("x", "OSError: no such file")]
    with guard.session("s") as session:
        for place, (query, error) in enumerate(trouble):
            session.reserve(ModelCall(model="cent", after_tool=place > 0)).post()
            session.reserve(ToolCall(name="read", arguments={"q": query})).settle(Outcome(error=error))
        assert kinds(guard).count(ev.LOOP_WARNING) > 0
        session.reserve(ModelCall(model="cent", after_tool=True)).post()
        session.reserve(ModelCall(model="cent")).post()
        session.reserve(ToolCall(name="weather", arguments={"city": "Bern"})).post(result="sunny, twenty degrees")
    with guard.session("t") as session, pytest.raises(TrippedError):
        for place, (query, error) in enumerate([*trouble, ("weather in Bern", "")]):
            session.reserve(ModelCall(model="cent", after_tool=place > 0)).post()
            session.reserve(ToolCall(name="read", arguments={"q": query})).settle(Outcome(error=error))


@pytest.mark.parametrize("answer", ["Error: the index is not there, cannot look up", "Here is the manual that you asked for"])
def test_a_probe_of_a_tool_that_says_the_same_trips_at_the_first_such_answer(make_guard: Any, answer: str) -> None:
    """A failure that a result only tells is as good a sign as one that was raised."""
    guard = make_guard(prices=CENT)

    def asking(session: str, word: str) -> int:
        ran = 0
        with guard.session(session):
            for number in range(9):
                try:
                    held = guard.reserve(ToolCall(name="f", arguments={"q": f"{word} {chr(97 + number) * 4}"}))
                except TrippedError:
                    return ran
                held.post(result=answer)
                ran += 1
        return ran

    assert asking("s", "alpha") == 6
    assert asking("s", "beta") == 1
    assert asking("other", "alpha") == 6


def until_stopped(guard: Guard, who: Attribution, results: list[str]) -> int:
    """Equal calls of one run with these results; how many were admitted."""
    for index, result in enumerate(results):
        try:
            guard.reserve(ToolCall(name="f", arguments={"q": 1}), who).post(result=result)
        except TrippedError:
            return index
    return len(results)


def test_a_restart_forgets_no_loop(make_guard: Any, tmp_path: Path) -> None:
    """A fresh guard on a ledger that knows the run goes on counting where the old one stopped; other instances and runs begin anew."""
    kept = f"sqlite:///{tmp_path / 'l.db'}"
    first = make_guard(store=kept)
    who = first.attribution(run="r", agent="a")
    assert until_stopped(first, who, ["a page of words"] * 2) == 2
    first.close()
    second = make_guard(store=kept)
    assert until_stopped(second, second.attribution(run="r", agent="b"), ["a page of words"]) == 1
    assert until_stopped(second, second.attribution(run="other", agent="a"), ["a page of words"]) == 1
    assert until_stopped(second, who, ["a page of words"] * 9) == 0


def test_the_kind_of_an_answer_outlives_a_restart(make_guard: Any, tmp_path: Path) -> None:
    """What says "not yet" is asked again as patiently as before."""
    who = None
    for _ in range(3):
        guard = make_guard(store=f"sqlite:///{tmp_path / 'l.db'}")
        who = who or guard.attribution(run="r")
        assert until_stopped(guard, who, ["pending"] * 3) == 3
        guard.close()
    assert until_stopped(make_guard(store=f"sqlite:///{tmp_path / 'l.db'}"), who, ["pending"] * 9) == 2  # type: ignore[arg-type]


def test_a_detector_that_is_off_is_not_asked(make_guard: Any) -> None:
    """It costs nothing and says nothing."""
    guard = make_guard(detectors=(Said(Severity.STOP), Said(Severity.WARN, "yours")), detector_modes={"mine": "off"})
    with guard.session("s") as session:
        for _ in range(3):
            session.reserve(ToolCall(name="f")).post(result="")
    assert ev.WOULD_TRIP not in kinds(guard)
    assert [event.facts["rule"] for event in guard.store.events() if event.kind == ev.LOOP_WARNING] == ["yours"]


@pytest.mark.parametrize("arguments", [{}, "{}", "", "null"])
def test_a_tool_without_arguments_loops_like_any_other(make_guard: Any, arguments: Any) -> None:
    """However a model or a framework writes that there are none: nothing volatile was left out of them."""
    guard = make_guard()
    with guard.session("s") as session, pytest.raises(TrippedError, match="3rd time"):
        for _ in range(4):
            session.reserve(ToolCall(name="ping", arguments=arguments)).post(result="the very same long answer of this tool")
