"""What a detector's word leads to: warnings said once, stops that refuse the next call of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from runguard_core import CallFilter, History, ModelCall, Severity, Step, ToolCall, TrippedError, Verdict
from runguard_core import events as ev

from .spending import CENT, kinds


@dataclass(frozen=True)
class Said:
    """Says the same of every call that has ended."""

    severity: Severity
    rule: str = "mine"

    def before(self, history: History, step: Step) -> Verdict | None:
        """Nothing."""
        return None

    def after(self, history: History, step: Step) -> Verdict | None:
        """Always."""
        return Verdict(rule=self.rule, severity=self.severity, evidence=f"{step.tool} came to nothing", marks=(step.signature,))


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
