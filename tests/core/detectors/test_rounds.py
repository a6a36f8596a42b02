"""What a watch makes of rounds, plateaus, long streaks and parallel calls, and whether its sentences are true."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.detectors import (
    MAX_STEPS,
    Answer,
    Cycle,
    Detector,
    Ending,
    History,
    Repeat,
    Repetition,
    Severity,
    Step,
    ToolRule,
    Verdict,
    Watch,
    default_detectors,
)

from .playing import ending_of, told

POLL = ToolRule("get_*", Repetition.POLL)


def play(calls: list[tuple[str, str]], rules: tuple[ToolRule, ...] = (), by: tuple[Detector, ...] | None = None) -> list[Verdict]:
    """All that was said of (tool, result) calls up to the first stop, which comes last."""
    watch, said = Watch(by or default_detectors(), rules), []
    for tool, result in calls:
        step = Step(tool, tool)
        said += watch.before(step)
        if is_stopped(said):
            break
        watch.begin(step)
        said += watch.finish(step, ending_of(tool, result))
    return said


def is_stopped(said: list[Verdict]) -> bool:
    """Whether it ended in a stop."""
    return bool(said) and said[-1].severity is Severity.STOP


@pytest.mark.parametrize("first", [0, 1])
def test_polling_with_a_pause_in_between_is_polling(first: int) -> None:
    """A round is taken as its most lenient tool is, whichever of them would complete it."""
    calls = [("get_status", "pending"), ("sleep", "ok")] * 29
    assert play(calls[first:], (POLL,)) == []
    assert is_stopped(play(calls[first:]))


def test_polling_with_a_pause_for_ever_is_announced() -> None:
    """At ten times the usual number of rounds, without a stop."""
    said = play([("get_status", "pending"), ("sleep", "ok")] * 80, (POLL,))
    assert said
    assert {verdict.severity for verdict in said} == {Severity.WARN}
    assert min(verdict.repeat_count for verdict in said) == 30


def test_an_observed_tool_keeps_its_round_from_being_stopped() -> None:
    """It is announced instead."""
    said = play([("a", "1"), ("b", "2")] * 6, (ToolRule("a", Repetition.OBSERVE),))
    assert {verdict.severity for verdict in said} == {Severity.WARN}


def test_an_exempt_tool_leaves_no_trace() -> None:
    """What stands around it is judged as if it were not there."""
    said = play([("a", "1"), ("think", "x")] * 6, (ToolRule("think", Repetition.EXEMPT),))
    assert (said[-1].rule, is_stopped(said)) == ("repeat", True)


@pytest.mark.parametrize(
    ("detector", "tools", "stop_after"),
    [(Repeat(stop_after=MAX_STEPS + 72), 1, MAX_STEPS + 72), (Cycle(stop_after=20), 8, 20)],
    ids=["repeat", "cycle"],
)
def test_limits_beyond_the_window_still_stop(detector: Detector, tools: int, stop_after: int) -> None:
    """A policy may tolerate more rounds than steps are kept."""
    calls = [(f"t{index % tools}", "same") for index in range(tools * stop_after - 1)]
    assert not is_stopped(play(calls, by=(detector,)))
    said = play([*calls, (f"t{tools - 1}", "same")], by=(detector,))
    assert is_stopped(said)
    assert said[-1].repeat_count == stop_after


def test_the_sentence_counts_only_calls_with_equal_results() -> None:
    """Four calls, of which the latest two agree: two in a row, and the next would be the third."""
    said = play([("f", result) for result in map("it is at {} of a hundred steps now".format, (10, 20, 30, 30, 30))])
    warned, stopped = (one for one in said if one.rule == "repeat")
    assert "called 2 times in a row" in warned.evidence
    assert "for the 3rd time in a row" in stopped.evidence
    assert (warned.repeat_count, stopped.repeat_count) == (2, 3)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), max_size=40))
def test_what_a_repeat_says_can_be_counted_again(calls: list[tuple[str, str]]) -> None:
    """From the recording alone, for every verdict, under stops that are only observed."""
    never = 10**6
    in_a_row = Repeat(warn_after_anywhere=never, stop_after_anywhere=never)
    watch = Watch((in_a_row,), (ToolRule("*", Repetition.OBSERVE),))
    for index, (tool, result) in enumerate(calls):
        equal = _tail(calls[:index])
        step = Step(tool, tool)
        verdict = next(iter(watch.before(step)), None)
        is_third = index > 1 and tool == calls[index - 1][0] and equal >= 2
        assert (verdict is not None) is is_third
        assert verdict is None or verdict.repeat_count == equal + 1
        watch.begin(step)
        after = next(iter(watch.finish(step, told(result))), None)
        equal = _tail(calls[: index + 1])
        assert (after is not None) is (equal >= 2)
        assert after is None or after.repeat_count == equal


def _tail(calls: list[tuple[str, str]]) -> int:
    """How many of the latest calls are the same with the same result."""
    return len(list(itertools.takewhile(lambda call: call == calls[-1], reversed(calls)))) if calls else 0


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", None])), max_size=30),
    st.randoms(use_true_random=False),
)
def test_agreement_kept_with_the_steps_equals_counting_from_scratch(calls: list[tuple[str, str | None]], chance: object) -> None:
    """Asked after any call, finished in any order, some never."""
    history, open_steps = History(), []
    shuffle = chance.shuffle  # type: ignore[attr-defined]
    for tool, result in calls:
        begun = Step(tool, tool)
        history.begin(begun)
        open_steps.append((begun, result))
        shuffle(open_steps)
        if len(open_steps) > 2:
            step, mark = open_steps.pop()
            history.finish(step, told(mark))
        for period in (1, 2, 3):
            assert history.agreed(period, history.matched(period)) == _counted(history, period)


def _counted(history: History, period: int) -> int:
    for index in range(1, history.matched(period) + 1):
        late, early = history.back(index), history.back(index + period)
        if late is None or early is None or late.mark is None or late.mark != early.mark:
            return index - 1
    return history.matched(period)


def test_a_parallel_fan_out_over_items_is_left_alone() -> None:
    """Thirty different calls at once, the same answer to each, ended in the opposite order."""
    watch = Watch(default_detectors())
    steps = [Step("fetch", f"item {index}") for index in range(30)]
    for step in steps:
        assert not watch.before(step)
        watch.begin(step)
    assert not any(watch.finish(step, Ending(result="ok", answer=Answer.DONE)) for step in reversed(steps))


def test_names_without_end_are_not_kept() -> None:
    """A model may invent tools for ever."""
    watch = Watch(default_detectors(), (POLL,))
    for index in range(5000):
        watch.before(Step(f"get_{index}", "s"))
    assert len(watch._taken) <= 1000
    assert watch.repetition("get_1") is Repetition.POLL


def test_equal_calls_in_flight_are_never_stopped_however_many() -> None:
    """Awaited is not the same as never reported: only the latter counts towards twice the limit."""
    watch = Watch(default_detectors())
    for _ in range(20):
        step = Step("f", "s")
        assert not watch.before(step)
        watch.begin(step)
