"""Loops by shape: what is stopped, at which call, and what is left alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.calls import ToolCall
from runguard_core.detectors import (
    MAX_PERIOD,
    MAX_STEPS,
    Fingerprint,
    History,
    Repetition,
    Severity,
    Step,
    ToolRule,
    Verdict,
    Watch,
    default_detectors,
    error_mark,
    result_mark,
    signature,
)

KEY = Fingerprint(b"k")
Shape = Iterable[tuple[str, Any, Any]]


def play(shape: Shape, rules: tuple[ToolRule, ...] = ()) -> tuple[int | None, Verdict | None, list[str]]:
    """Index and verdict of the first stop, and the rules that warned before it. A result may be an exception."""
    watch, warned = Watch(default_detectors(), rules), []
    for index, (tool, arguments, result) in enumerate(shape):
        mark = signature(ToolCall(name=tool, arguments=arguments), KEY)
        step = Step(tool, mark)
        said = watch.before(step)
        if said and said[-1].severity is Severity.STOP:
            return index, said[-1], warned
        watch.begin(step)
        failed = error_mark(tool, str(result), KEY) if isinstance(result, Exception) else None
        after = watch.finish(step, None if failed or result is None else result_mark(result, KEY), failed)
        warned += [found.rule for found in (*said, *after)]
    return None, None, warned


def done(history: History, tool: str, result: str) -> None:
    """A step that begins and ends at once."""
    step = Step(tool, tool)
    history.begin(step)
    history.finish(step, result, None)


LOOPS: dict[str, tuple[list[tuple[str, Any, Any]], int, str]] = {
    "same call, same result": ([("search", {"q": "x"}, "no")] * 9, 2, "repeat"),
    "same call, same failure": ([("fetch", {"u": 1}, ValueError("429 slow down"))] * 9, 2, "repeat"),
    "key order does not matter": ([("f", {"a": 1, "b": 2}, "r"), ("f", {"b": 2, "a": 1}, "r"), ("f", {"a": 1, "b": 2}, "r")], 2, "repeat"),
    "volatile arguments do not hide it": ([("f", {"q": 1, "request_id": i, "thought": f"try {i}"}, "r") for i in range(5)], 2, "repeat"),
    "volatile results do not hide it": ([("f", {"q": 1}, f"at 2026-11-24T10:00:0{i}Z took {i}.5 ms: empty") for i in range(5)], 2, "repeat"),
    "two by turns": ([("a", {}, "1"), ("b", {}, "2")] * 4, 5, "cycle"),
    "three in a round": ([("a", {}, "1"), ("b", {}, "2"), ("c", {}, "3")] * 4, 8, "cycle"),
    "eight in a round": ([(f"t{i}", {}, i) for i in range(8)] * 4, 23, "cycle"),
    "the same failure, other arguments": ([("f", {"q": i}, ValueError(f"timeout after {i} s")) for i in range(9)], 5, "error_streak"),
    "nobody reports results": ([("f", {}, None)] * 9, 5, "repeat"),
}  # fmt: skip
HEALTHY: dict[str, list[tuple[str, Any, Any]]] = {
    "polling from 0 to 100 %": [("get_status", {"job": 7}, f"{i} %") for i in range(0, 101, 5)],
    "pagination": [("list", {"page": i}, f"page {i}") for i in range(40)],
    "the same empty page for different queries": [("search", {"q": i}, "[]") for i in range(30)],
    "edit and test": [step for i in range(9) for step in (("edit", {"n": i}, "ok"), ("test", {}, f"{9 - i} failed"))],
    "test runs with changing results": [("test", {}, f"{i} failed") for i in range(20)],
    "read two files by turns, they change": [step for i in range(9) for step in (("read", "a", f"a{i}"), ("read", "b", f"b{i}"))],
    "one retry": [("f", {}, ValueError("x")), ("f", {}, "ok")] * 3,
    "failures of different kinds": [("f", {"q": i}, ValueError(word)) for i, word in enumerate("abcdefg")],
}


@pytest.mark.parametrize("name", list(LOOPS))
def test_a_loop_is_stopped_before_the_call_that_would_complete_it(name: str) -> None:
    """At the index that can be counted by hand, with a sentence that says what was seen."""
    shape, index, rule = LOOPS[name]
    found, verdict, _ = play(shape)
    assert verdict is not None
    assert (found, verdict.rule) == (index, rule)
    assert verdict.marks
    assert shape[index][0] in verdict.evidence


@pytest.mark.parametrize("name", list(HEALTHY))
def test_progress_is_left_alone(name: str) -> None:
    """Same call and changing result, or changing call."""
    found, verdict, _ = play(HEALTHY[name])
    assert found is None, verdict


def test_a_warning_comes_before_the_stop() -> None:
    """Two equal calls with equal results are announced."""
    assert play([("search", {"q": "x"}, "no")] * 9)[2] == ["repeat"]


@pytest.mark.parametrize(
    ("rule", "stops"),
    [(Repetition.LOOP, True), (Repetition.POLL, False), (Repetition.OBSERVE, False), (Repetition.EXEMPT, False)],
)
def test_the_policy_says_how_a_tools_repetition_is_taken(rule: Repetition, stops: bool) -> None:
    """Declared for a name or a pattern."""
    for pattern in ("get_status", "get_*"):
        shape = [("get_status", {"job": 7}, "pending")] * 12
        assert (play(shape, (ToolRule(pattern, rule),))[0] is not None) is stops


def test_parallel_calls_in_flight_are_no_evidence() -> None:
    """Five equal calls at once, none of them answered yet: nothing is known to be equal."""
    watch = Watch(default_detectors())
    steps = [Step("f", "same") for _ in range(5)]
    for step in steps:
        assert not watch.before(step)
        watch.begin(step)
    for step in reversed(steps):
        watch.finish(step, "equal", None)
    assert watch.before(Step("f", "same"))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=60))
def test_the_incremental_history_agrees_with_counting_from_scratch(steps: list[tuple[str, str]]) -> None:
    """For every period, after every step."""
    history = History()
    for index, (tool, result) in enumerate(steps):
        done(history, tool, result)
        names = [name for name, _ in steps[: index + 1]]
        for period in range(1, MAX_PERIOD + 1):
            count = 0
            while count + period < len(names) and names[-1 - count] == names[-1 - count - period]:
                count += 1
            assert history.matched(period) == count


def test_memory_is_bounded_and_streaks_count_on() -> None:
    """Ten thousand steps are remembered as a number."""
    history = History()
    for _ in range(10_000):
        done(history, "f", "r")
    assert len(history._recent) == MAX_STEPS
    assert history.matched(1) == 9999


class Angry:
    """Everything it is asked raises."""

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


def _deep(levels: int) -> Any:
    found: Any = "end"
    for _ in range(levels):
        found = [found]
    return found


def _circle() -> Any:
    found: dict[str, Any] = {}
    found["self"] = found
    return found


@pytest.mark.parametrize(
    "value",
    [Angry(), _deep(10_000), _circle(), float("nan"), "\ud800\0", "x" * 5_000_000, {1: 2, "1": 3}, {object(): 1}, b"\xff", set("ab"), range(9), '{"a": [1,'],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_hostile_arguments_and_results_have_a_digest(value: Any) -> None:
    """Nothing raises, and the digest is the same again."""
    call = ToolCall(name="f", arguments=value)
    assert signature(call, KEY) == signature(call, KEY)
    assert result_mark(value, KEY) == result_mark(value, KEY)
    assert len(error_mark("f", "x" * 100_000, KEY)) == 32


def test_digests_depend_on_the_key() -> None:
    """Short arguments cannot be guessed from the ledger."""
    call = ToolCall(name="f", arguments={"q": "secret"})
    assert signature(call, KEY) != signature(call, Fingerprint(b"other"))
