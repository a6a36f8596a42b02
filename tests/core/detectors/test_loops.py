"""Loops by shape: what is stopped, at which call, and what is left alone."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.calls import ToolCall
from runguard_core.detectors import (
    MAX_KNOWN,
    MAX_PERIOD,
    MAX_STEPS,
    Fingerprint,
    History,
    Repetition,
    Severity,
    Step,
    ToolRule,
    Watch,
    default_detectors,
    error_mark,
    read_result,
    result_mark,
    signature,
)

from .playing import KEY, done, one_call, play, told

LOOPS: dict[str, tuple[list[tuple[str, Any, Any]], int, str]] = {
    "same call, same result": ([("search", {"q": "x"}, "a page")] * 9, 2, "repeat"),
    "same call, same answer that is a failure": ([("search", {"q": "x"}, "Error: no such index")] * 9, 2, "repeat"),
    "a failure again, in a run that was failing": (
        [("list", {}, "Error: no such table"), *[("search", {"q": "x"}, "Error: no such index")] * 2, ("go", {}, "on")], 3, "repeat"),
    "same call, nothing": ([("search", {"q": "x"}, "[]")] * 9, 5, "repeat"),
    "an action that is acknowledged": ([("click", {"on": "next"}, "ok")] * 9, 5, "repeat"),
    "a poll that nobody declared": ([("get_status", {"job": 7}, "pending")] * 20, 11, "repeat"),
    "same call, same answer, other work in between": (
        [step for i in range(20) for step in (("test", {}, "3 tests differ"), ("edit", {"n": i}, f"edited {i}"))], 13, "repeat"),
    "a habit of asking twice": (
        [("read", "a", "A"), ("read", "a", "A"), ("list", {}, "L"), ("read", "b", "B"), ("read", "b", "B"), ("go", {}, "on")], 5, "repeat"),
    "the same failure, other words": (
        [("search", {"q": f"weather forecast of paris {i}"}, f"Could not find [paris {i}]") for i in range(9)], 3, "near_duplicate"),
    "unknown volatile arguments": (
        [("get", {"page": "the report of may", "at": f"2026-11-24T10:00:0{i}Z"}, "the very same report, word for word") for i in range(9)],
        3, "near_duplicate"),
    "another question, the same answer": (
        [("search", {"q": chr(97 + i) * 5}, "the service is closed on sundays") for i in range(9)], 6, "same_result"),
    "calls and answers all seen before, in no order": (
        [(name, {}, f"the page of {name}, unchanged") for name in "abcdefgh" + "acegbdfhgecadbhfgafdbechgdcbahfeachbdegf"], 40, "stall"),
    "same call, same failure": ([("fetch", {"u": 1}, ValueError("429 slow down"))] * 9, 3, "repeat"),
    "key order does not matter": ([("f", {"a": 1, "b": 2}, "r"), ("f", {"b": 2, "a": 1}, "r"), ("f", {"a": 1, "b": 2}, "r")], 2, "repeat"),
    "volatile arguments do not hide it": ([("f", {"q": 1, "request_id": i, "thought": f"try {i}"}, "r") for i in range(5)], 2, "repeat"),
    "volatile results do not hide it": ([("f", {"q": 1}, f"at 2026-11-24T10:00:0{i}Z took {i}.5 ms: three") for i in range(5)], 2, "repeat"),
    "two by turns": ([("a", {}, "1"), ("b", {}, "2")] * 4, 5, "cycle"),
    "three in a round": ([("a", {}, "1"), ("b", {}, "2"), ("c", {}, "3")] * 4, 8, "cycle"),
    "eight in a round": ([(f"t{i}", {}, f"page {i}") for i in range(8)] * 4, 23, "cycle"),
    "the same failure, other arguments": ([("f", {"q": i}, ValueError(f"timeout after {i} s")) for i in range(9)], 5, "error_streak"),
    "nobody reports results": ([("f", {}, None)] * 9, 2, "repeat"),
    "one tool reports nothing": ([("g", {}, "words"), *[("f", {}, None)] * 9], 6, "repeat"),
}  # fmt: skip
HEALTHY: dict[str, list[tuple[str, Any, Any]]] = {
    "polling from 0 to 100 %": [("get_status", {"job": 7}, f"{i} %") for i in range(0, 101, 5)],
    "pagination": [("list", {"page": i}, f"page {i}") for i in range(40)],
    "the same empty page for different queries": [("search", {"q": i}, "[]") for i in range(30)],
    "edit and test": [step for i in range(9) for step in (("edit", {"n": i}, "ok"), ("test", {}, f"{9 - i} failed"))],
    "test runs with changing results": [("test", {}, f"{i} failed") for i in range(20)],
    "read two files by turns, they change": [step for i in range(9) for step in (("read", "a", f"a{i}"), ("read", "b", f"b{i}"))],
    "one retry": [("f", {}, ValueError("x")), ("f", {}, "ok")] * 3,
    "a retry after a rate limit": [("f", {}, "429 Too Many Requests"), ("f", {}, "429 Too Many Requests"), ("f", {}, "a page")]
    * 2,
    "two equal failures, then something else": [("search", {"q": "x"}, "Error: no such index")] * 2 + [("list", {}, "x, y, z")],
    "asking twice once": [("read", "a", "A"), ("read", "a", "A"), *[("read", f"b{i}", f"B{i}") for i in range(9)]],
    "a batch of equal items": [("add", {"sku": 1}, "added")] * 5,
    "map over chunks": [("index", {"chunk": i}, "ok") for i in range(30)],
    "lint thirty files without an issue": [("lint", {"file": f"m{i}.py"}, "0 errors found") for i in range(30)],
    "a poll that waits and gets on": [("get_status", {"job": 7}, f"running, {i // 4} %") for i in range(80)],
    "failures of different kinds": [("f", {"q": i}, ValueError(word)) for i, word in enumerate("abcdefg")],
}


@pytest.mark.parametrize("name", list(LOOPS))
def test_a_loop_is_stopped_at_the_call_that_completes_it(name: str) -> None:
    """At the index that can be counted by hand, with a sentence that says what was seen."""
    shape, index, rule = LOOPS[name]
    played = play(shape)
    assert played.stop is not None
    assert (played.index, played.stop.rule) == (index, rule)
    assert played.stop.marks
    named = index if "would" in played.stop.evidence else index - 1  # a stop that was held speaks of the call before
    assert rule == "stall" or shape[named][0] in played.stop.evidence


@pytest.mark.parametrize("name", list(HEALTHY))
def test_progress_is_left_alone(name: str) -> None:
    """Same call and changing result, or changing call; whether turns are known or not."""
    assert play(HEALTHY[name]).stop is None
    assert play(HEALTHY[name], in_turns_of=0).stop is None


def test_a_warning_comes_before_the_stop() -> None:
    """Two equal calls with equal results are announced."""
    assert play([("search", {"q": "x"}, "a page")] * 9).rules == ["repeat"]


@pytest.mark.parametrize(
    ("rule", "stops"),
    [(Repetition.LOOP, True), (Repetition.POLL, False), (Repetition.OBSERVE, False), (Repetition.EXEMPT, False)],
)
def test_the_policy_says_how_a_tools_repetition_is_taken(rule: Repetition, stops: bool) -> None:
    """Declared for a name or a pattern."""
    for pattern in ("get_status", "get_*"):
        shape = [("get_status", {"job": 7}, "pending")] * 25
        assert (play(shape, (ToolRule(pattern, rule),)).stop is not None) is stops


def test_unlike_calls_of_one_turn_with_one_answer_are_one_question() -> None:
    """The model asked for all of them before it saw an answer; across turns they count."""
    shape = [("search", {"q": chr(97 + i) * 5}, "the service is closed on sundays") for i in range(12)]
    assert play(shape, in_turns_of=12).warned == []
    assert play(shape).index == 6


def test_a_failure_that_may_pass_is_tried_once_more_than_one_that_may_not() -> None:
    """Two time-outs and a success are a good run; so is one more when the provider asks to wait."""
    for failure, refused in ((TimeoutError("no answer within 5 s: timed out"), 3), (KeyError("no such sensor"), 2)):
        assert play([("read", {"id": 1}, failure)] * 9).index == refused


def test_a_word_that_changes_at_all_may_be_the_same_by_chance() -> None:
    """A die thrown."""
    assert play([("roll", {}, str(eyes)) for eyes in (3, 5, 5, 5, 5, 1, 2, 2, 2, 6)]).stop is None


def test_a_round_with_alike_arguments_is_announced() -> None:
    """Retrieve and rerank, worded anew each time; with other arguments it is work."""
    words = [
        "bolt torque of the old tractor",
        "the old tractor bolt torque",
        "torque of old tractor bolt",
        "old tractor: bolt torque",
    ]
    shape = [
        step for word in words for step in (("retrieve", {"q": word}, "d-3, d-8, d-1"), ("rank", {"q": word}, "a score of 0.41"))
    ]
    (index, verdict), *_ = play(shape).warned
    assert (index, verdict.rule, verdict.repeat_count, verdict.period) == (5, "near_duplicate", 3, 2)
    assert "retrieve -> rank was made 3 times" in verdict.evidence
    other = [(tool, {"q": f"{place}"}, result) for place, (tool, _, result) in enumerate(shape)]
    assert play(other).warned == []


def test_what_is_seen_after_a_call_stops_the_next_tool_call_and_not_the_last_answer() -> None:
    """A warning now; the stop waits until a tool is to be run again."""
    watch = Watch(default_detectors())
    said = [list(one_call(watch, "find", {"q": f"{name * 5}"}, "the service is closed on sundays")) for name in "abcdef"]
    assert [(one.rule, one.severity, one.is_held) for one in said[-1]] == [("same_result", Severity.WARN, True)]
    (stop,) = watch.before(Step("other", "s"))
    assert (stop.severity, stop.evidence) == (Severity.STOP, said[-1][0].evidence)
    assert not watch.before(Step("other", "s"))


def test_a_person_who_asks_again_is_answered_again() -> None:
    """With a prompt in between twice as many pass; where prompts cannot be told apart nothing changes."""
    for prompted, refused in ((True, 5), (False, 2)):
        watch = Watch(default_detectors())
        for index in range(6):
            step = Step("hours", "s", turn=2 * index + 1, loop=index + 1, is_prompted=prompted and index > 0)
            stops = [one for one in watch.before(step) if one.severity is Severity.STOP]
            assert bool(stops) is (index >= refused), index
            if stops:
                break
            watch.begin(step)
            said = watch.finish(step, told("from nine to five"))
            assert prompted is False or bool(said) is (index >= 3)


def test_thoughts_are_announced_and_never_stopped() -> None:
    """What they are called with is left out as volatile, so all of them look equal."""
    played = play([("think", {"thought": f"so {i}"}, "Your thought has been logged.") for i in range(20)])
    assert (played.stop, played.rules[0]) == (None, "repeat")


def test_what_kept_changing_only_softens_a_stop() -> None:
    """A call whose answers changed three times is warned about, and stopped once it has been the same thirty times."""
    shape = [("get_status", {"job": 7}, f"step {min(i, 5)} of 9 was reached, and the rest goes on") for i in range(80)]
    played = play(shape)
    assert "repeat" in played.rules
    assert played.index is not None
    assert played.index > 30


def test_a_result_that_changes_only_in_time_is_no_change() -> None:
    """Else every answer with a clock in it would hide a loop."""
    shape = [("get", {}, f"as of 2026-11-24T10:{i:02}:00Z the queue holds three items of eight kinds") for i in range(9)]
    assert play(shape).index == 2


def test_parallel_calls_in_flight_are_no_evidence() -> None:
    """Five equal calls at once, none of them answered yet: nothing is known to be equal."""
    watch = Watch(default_detectors())
    steps = [Step("f", "same") for _ in range(5)]
    for step in steps:
        assert not watch.before(step)
        watch.begin(step)
    for step in reversed(steps):
        watch.finish(step, told("equal"))
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


def test_threads_of_one_agent_disturb_no_history() -> None:
    """Tools run side by side, more different ones than are remembered; nothing raises, what is kept stays bounded."""
    watch, interval = Watch(default_detectors()), sys.getswitchinterval()

    def work(thread: int) -> int:
        for index in range(1500):
            one_call(watch, f"tool {index % 400}", {"q": f"{thread} {index % 700}"}, f"page {index % 900} of {thread}", index)
        return thread

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(work, range(4))) == [0, 1, 2, 3]
    finally:
        sys.setswitchinterval(interval)
    history = watch.history
    assert max(len(history._calls), len(history._answers), len(history._tools)) <= MAX_KNOWN + 4


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
    assert (read_result("f", value, KEY).result or "")[:31] == result_mark(value, KEY)[:31]
    assert len(error_mark("f", "x" * 100_000, KEY)) == 32


def test_digests_depend_on_the_key() -> None:
    """Short arguments cannot be guessed from the ledger."""
    call = ToolCall(name="f", arguments={"q": "secret"})
    assert signature(call, KEY) != signature(call, Fingerprint(b"other"))
