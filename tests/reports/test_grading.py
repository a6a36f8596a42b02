"""Rules grade themselves: would-be stops, overrides, and what the runs did afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import Budget, Guard, ModelCall, PromptPart, Session, StoppedError, ToolCall, Usage
from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._app import app
from runguard_core.detectors import Repeat
from runguard_core.ledger import CallFilter
from runguard_core.reports import Grade, grade
from tests.guard.clock import FakeClock

MODEL = "gpt-4o-mini"
TURN_NANOS = 1000 * 150 + 100 * 600


def a_guard(**settings: Any) -> tuple[Guard, FakeClock]:
    clock = FakeClock()
    settings.setdefault("detectors", (Repeat(),))
    return Guard(app="shop", store=settings.pop("store", "memory://"), clock=clock, **settings), clock


def turn(session: Session, clock: FakeClock, *tools: str) -> None:
    """One model call that costs TURN_NANOS, and the tools it asks for, with equal results."""
    asked = ModelCall(model=MODEL, parts=(PromptPart("user", 4000),), after_tool=bool(tools))
    with session.reserve(asked) as call:
        clock.advance(seconds=1)
        call.post(Usage(input_tokens=1000, output_tokens=100), tool_names=tools)
    for tool in tools:
        session.reserve(ToolCall(name=tool, arguments={})).post(result="same")
        clock.advance(seconds=1)


def graded(guard: Guard) -> dict[str, Grade]:
    return {row.rule: row for row in grade(guard.store.calls(CallFilter()), guard.store.events())}


def test_a_would_be_stop_is_wrong_when_the_run_then_finished() -> None:
    """Two observed loops: one answers in the end, one never does. What they spent after the sign is what a stop saves."""
    guard, clock = a_guard(detector_modes={"repeat": "observe"})
    for answers in (True, False):
        with guard.session(f"s-{answers}") as session:
            for _ in range(5):
                turn(session, clock, "search")
            if answers:
                turn(session, clock)
    row = graded(guard)["repeat"]
    assert (row.would_count, row.finished_count, row.stop_count) == (2, 1, 0)
    assert [sign.finished for sign in row.signs] == [True, False]
    later = [sign.later_nanos // TURN_NANOS for sign in row.signs]
    assert later[0] == later[1] + 1 >= 2
    assert row.saved_nanos == sum(later) * TURN_NANOS
    assert row.wrongly_saved_nanos == later[0] * TURN_NANOS


def test_an_observed_budget_is_graded_by_its_name() -> None:
    """The call that would have been refused is part of what would have been saved."""
    guard, clock = a_guard(budgets=[Budget("2 turns", per=["session"], name="short", mode="observe")])
    with guard.session("s") as session:
        for _ in range(4):
            turn(session, clock)
    row = graded(guard)["budget short"]
    assert (row.would_count, row.finished_count) == (1, 1)
    assert row.saved_nanos == 2 * TURN_NANOS


def test_a_stop_that_was_reset_and_then_finished_speaks_against_the_rule() -> None:
    """A reset of the session counts as an override; without one nobody knows."""
    guard, clock = a_guard()
    for name in ("reset", "left"):
        with guard.session(name) as session, pytest.raises(StoppedError):
            for _ in range(9):
                turn(session, clock, "search")
        if name == "reset":
            clock.advance(minutes=5)
            guard.reset("session:reset", reason="the index was down", by="ann")
            with guard.session(name) as session:
                turn(session, clock, "search")
                turn(session, clock)
    row = graded(guard)["repeat"]
    assert (row.stop_count, row.override_count, row.vindicated_count) == (2, 1, 1)
    assert row.override_ratio == 0.5
    assert [sign.finished for sign in row.signs] == [True, None]


def test_a_raised_limit_overrides_the_refusal_of_its_account_only() -> None:
    """The other session's refusal by the same budget stands."""
    guard, clock = a_guard(budgets=[Budget("2 turns", per=["session"], name="short")])
    for name in ("raised", "kept"):
        with guard.session(name) as session:
            with pytest.raises(StoppedError):
                for _ in range(3):
                    turn(session, clock)
            if name == "raised":
                clock.advance(minutes=1)
                session.raise_limit("9 turns", by="bob", reason="a long question")
                turn(session, clock)
    row = graded(guard)["budget short"]
    assert (row.stop_count, row.override_count, row.vindicated_count) == (2, 1, 1)


def test_a_session_stopped_again_after_its_reset_did_not_finish() -> None:
    """The probe shows the loop again."""
    guard, clock = a_guard()
    for _ in range(2):
        with guard.session("s") as session, pytest.raises(StoppedError):
            for _ in range(9):
                turn(session, clock, "search")
        guard.reset("session:s", reason="try again", by="ann")
        clock.advance(seconds=1)
    row = graded(guard)["repeat"]
    assert row.stop_count == 2
    assert row.vindicated_count == 0


def test_a_run_that_is_stopped_after_its_answer_did_not_finish() -> None:
    """Its last model call is an answer, but another one was wanted and refused."""
    guard, clock = a_guard(detector_modes={"repeat": "observe"}, budgets=[Budget("5 turns", per=["session"], name="short")])
    with guard.session("s") as session:
        for _ in range(4):
            turn(session, clock, "search")
        turn(session, clock)
        with pytest.raises(StoppedError):
            turn(session, clock)
    assert [sign.finished for sign in graded(guard)["repeat"].signs] == [False]


def test_a_reset_before_the_stop_overrides_nothing() -> None:
    """It spoke of something else."""
    guard, clock = a_guard()
    guard.reset("session:s", reason="to be sure", by="ann")
    clock.advance(minutes=1)
    with guard.session("s") as session, pytest.raises(StoppedError):
        for _ in range(9):
            turn(session, clock, "search")
    assert graded(guard)["repeat"].override_count == 0


def test_a_refusal_that_only_waits_for_pending_calls_is_no_stop() -> None:
    """The next call may fit."""
    guard, _ = a_guard(budgets=[Budget("1 calls", per=["session"], name="one")])
    call = ModelCall(model=MODEL, parts=(PromptPart("user", 40),))
    with guard.session("s") as session:
        held = session.reserve(call)
        with pytest.raises(StoppedError):
            session.reserve(call)
        held.void()
    assert graded(guard) == {}


def test_the_first_stop_of_a_rule_in_a_run_is_its_sign() -> None:
    """Raised, gone on, and refused again: one case, overridden, and not finished."""
    guard, clock = a_guard(budgets=[Budget("2 turns", per=["session"], name="short")])
    with guard.session("s") as session:
        for limit in ("3 turns", None):
            with pytest.raises(StoppedError):
                for _ in range(9):
                    turn(session, clock)
            clock.advance(minutes=1)
            if limit is not None:
                session.raise_limit(limit, by="bob", reason="a long question")
    [sign] = graded(guard)["budget short"].signs
    assert sign.overridden_by is not None
    assert sign.finished is False


def observed_runs(guard: Guard, clock: FakeClock, *, good: int, bad: int) -> None:
    for index in range(good + bad):
        with guard.session(f"s{index}") as session:
            for _ in range(4):
                turn(session, clock, "search")
            if index < good:
                turn(session, clock)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [(2, 2, None), (3, 3, "observe"), (0, 6, "enforce"), (1, 5, None)],
    ids=["too few", "often wrong", "never wrong", "in between"],
)
def test_a_record_leads_to_a_proposal(good: int, bad: int, said: str | None) -> None:
    """Five cases at least; wrong in a third: watch it; wrong in a twentieth: enforce it."""
    guard, clock = a_guard(detector_modes={"repeat": "observe"})
    observed_runs(guard, clock, good=good, bad=bad)
    proposal = graded(guard)["repeat"].proposal
    assert (proposal is None) is (said is None)
    assert said is None or (f'mode = "{said}"' in (proposal or "") and "[detectors.repeat]" in (proposal or ""))


def test_the_command_prints_the_grades(tmp_path: Any) -> None:
    """A table, the latest runs, the proposal; JSON with the same numbers."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    guard, clock = a_guard(store=url, detector_modes={"repeat": "observe"})
    observed_runs(guard, clock, good=3, bad=3)
    guard.close()
    asked, env = ["shadow", "--store", url], {"COLUMNS": "100", "NO_COLOR": "1"}
    [row] = json.loads(CliRunner().invoke(app, [*asked, "--json"], env=env).output)["rules"]
    assert (row["rule"], row["would_count"], row["finished_count"], len(row["signs"])) == ("repeat", 6, 3, 6)
    text = CliRunner().invoke(app, [*asked, "--runs", "2"], env=env).output
    assert "would save" in text
    assert text.count("■") == 2
    assert 'keep mode = "observe"' in " ".join(text.split())
    nothing = CliRunner().invoke(app, [*asked, "--since", "2999-01-01"], env=env).output
    assert "nothing to grade" in nothing
