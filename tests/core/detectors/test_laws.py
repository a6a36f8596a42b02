"""Laws of all detectors: names and key order mean nothing, a restart changes nothing, and every sentence can be counted again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.calls import ToolCall
from runguard_core.detectors import (
    Cycle,
    Detector,
    ErrorStreak,
    NearDuplicate,
    Repeat,
    SameResult,
    Severity,
    Stall,
    Step,
    Verdict,
    Watch,
    default_detectors,
    likeness,
    read_call,
    recalled,
)
from runguard_core.detectors._likeness import words_of

from .playing import KEY, ending_of

Call = tuple[str, dict[str, Any], Any]
PAGE, OTHER = "a page of words that tell a good deal", "another page of words that tell a good deal"
ANSWERS = st.sampled_from(
    [PAGE, OTHER, "ok", "[]", "7", "pending", "Error: no such thing", KeyError("lost"), TimeoutError("timeout")]
)
TOOLS = st.sampled_from(["fetch", "look", "find"])
ARGUMENTS = st.sampled_from([{"q": "one two three four", "n": 1}, {"q": "one two three five", "n": 1}, {"q": "six", "n": 2}])
CALLS = st.lists(st.tuples(TOOLS, ARGUMENTS, ANSWERS), max_size=40)
#: Few different ones, so that loops are common.
LOOPS = st.lists(st.tuples(TOOLS, ARGUMENTS, st.sampled_from([PAGE, "Error: no such thing", "ok"])), max_size=3).flatmap(
    lambda some: st.lists(st.sampled_from(some), max_size=40) if some else st.just([])
)
#: Other questions, one answer; a handful of calls in any order.
ONE_ANSWER = st.lists(
    st.tuples(st.just("find"), st.builds(lambda n: {"q": f"word{n}"}, st.integers(0, 99)), st.just(PAGE)), max_size=20
)
STANDING = st.lists(st.sampled_from([("look", {"q": name}, f"{name}: {PAGE}") for name in "abcdef"]), min_size=20, max_size=60)
ANY = CALLS | LOOPS | ONE_ANSWER | STANDING


def said_of(calls: list[Call], detectors: tuple[Detector, ...] | None = None, cut: int | None = None) -> list[list[Verdict]]:
    """What is said of each call, none of them ever refused; before `cut` they are only recalled, as from a ledger."""
    watch, found = Watch(default_detectors() if detectors is None else detectors), []
    for index, (tool, arguments, result) in enumerate(calls):
        mark, sketch = read_call(ToolCall(name=tool, arguments=arguments), KEY, sketch=True)
        step, ending = Step(tool, mark, sketch), ending_of(tool, result)
        if cut is not None and index < cut:
            error = str(result) if isinstance(result, Exception) else None
            watch.recall(step, recalled(tool, ending.result, error, KEY))
            found.append([])
            continue
        said = list(watch.before(step))
        watch.begin(step)
        held = [one for one in said if "would" not in one.evidence]  # said of the call before, and not again
        found.append([*(one for one in said if one not in held), *watch.finish(step, ending)])
    return found


def essence(said: list[list[Verdict]]) -> list[list[tuple[str, Severity, int, int]]]:
    """Verdicts without names and digests."""
    return [[(one.rule, one.severity, one.repeat_count, one.period) for one in row] for row in said]


@given(ANY)
def test_renaming_tools_changes_no_verdict(calls: list[Call]) -> None:
    """Consistently, that is; and the sentences carry the new names."""
    renamed = [(f"new_{tool}", arguments, result) for tool, arguments, result in calls]
    before, after = said_of(calls), said_of(renamed)
    assert essence(before) == essence(after)
    assert [[re.sub("new_", "", one.evidence) for one in row] for row in after] == [
        [one.evidence for one in row] for row in before
    ]


@given(ANY)
def test_the_order_of_keys_changes_no_verdict(calls: list[Call]) -> None:
    """Nor does white space in text."""
    turned = [(tool, dict(reversed(list(arguments.items()))), result) for tool, arguments, result in calls]
    assert said_of(turned) == said_of(calls)


@given(ANY, st.integers(0, 40))
@pytest.mark.parametrize(
    "detectors", [(Repeat(),), (Cycle(),), (SameResult(),), (Stall(),)], ids=lambda found: found[0].rule if found else ""
)
def test_a_restart_changes_no_verdict(detectors: tuple[Detector, ...], calls: list[Call], cut: int) -> None:
    """Wherever it falls, as if the calls had been seen in one go."""
    whole, cut = said_of(calls, detectors), min(cut, len(calls))
    assert said_of(calls, detectors, cut)[cut:] == whole[cut:]


@given(
    st.lists(st.tuples(TOOLS, ARGUMENTS, st.sampled_from([PAGE, KeyError("lost"), KeyError("torn")])), max_size=40),
    st.integers(0, 40),
)
def test_a_restart_forgets_no_failure_that_was_raised(calls: list[Call], cut: int) -> None:
    """Those that a result only spoke of begin again."""
    whole, cut = said_of(calls, (ErrorStreak(),)), min(cut, len(calls))
    assert said_of(calls, (ErrorStreak(),), cut)[cut:] == whole[cut:]


# -- counting again ---------------------------------------------------------------------------------------------------


class Counted:
    """The recording up to a call, counted from scratch."""

    def __init__(self, calls: list[Call]) -> None:
        """Marks of calls and of what came of them."""
        self.calls = calls
        self.marks = [read_call(ToolCall(name=tool, arguments=arguments), KEY, sketch=True) for tool, arguments, _ in calls]
        self.ends = [ending_of(tool, result) for tool, _, result in calls]
        self.pairs = [
            (tool, mark, end.error or end.result) for (tool, *_), (mark, _), end in zip(calls, self.marks, self.ends, strict=True)
        ]

    def row(self, is_same: Callable[[int, int], bool], last: int) -> int:
        """Calls in a row up to `last`, each the same as the one before it."""
        count = 1
        while last - count >= 0 and is_same(last - count, last - count + 1):
            count += 1
        return count

    def equal(self, last: int) -> int:
        """The same call with the same end, in a row."""
        return self.row(lambda one, two: self.pairs[one] == self.pairs[two], last)

    def equal_anywhere(self, last: int) -> int:
        """The same call, since it was last answered otherwise."""
        tool, mark, end = self.pairs[last]
        ends = [other for name, asked, other in self.pairs[: last + 1] if (name, asked) == (tool, mark)]
        return next((count for count, other in enumerate(reversed(ends)) if other != end), len(ends))

    def alike(self, last: int) -> int:
        """Alike arguments with the same end, in a row."""

        return self.row(self.are_alike, last)

    def are_alike(self, one: int, two: int) -> bool:
        """Whether two calls ask one tool for nearly the same and come to the same."""
        (tool, mark, end), (name, asked, other) = self.pairs[one], self.pairs[two]
        ended = end == other or (self.failure(one) is not None and self.failure(one) == self.failure(two))
        near = mark == asked or likeness(words_of(self.marks[one][1]), words_of(self.marks[two][1])) >= 0.6
        return tool == name and ended and near

    def alike_rounds(self, last: int, period: int) -> int:
        """Whole rounds, each call alike to the one a round earlier."""
        count = 0
        while last - count - period >= 0 and self.are_alike(last - count - period, last - count):
            count += 1
        return count // period + 1

    def equal_rounds(self, last: int, period: int) -> int:
        """Whole rounds, each call of the tool of the one a round earlier, with its end."""
        count = 0
        while last - count - period >= 0 and self._ends_alike(last - count - period, last - count):
            count += 1
        return count // period + 1

    def _ends_alike(self, one: int, two: int) -> bool:
        (tool, _, end), (name, _, other) = self.pairs[one], self.pairs[two]
        return tool == name and (end == other or (self.failure(one) is not None and self.failure(one) == self.failure(two)))

    def failure(self, index: int) -> str | None:
        """How it failed, raised or told."""
        return self.ends[index].failure or self.ends[index].error

    def rounds(self, last: int, period: int) -> int:
        """Whole rounds with equal ends."""
        count = 0
        while last - count - period >= 0 and self.pairs[last - count] == self.pairs[last - count - period]:
            count += 1
        return count // period + 1

    def stale(self, last: int) -> int:
        """Calls in a row, made before and answered as something was before; "ok" and the like do not count."""
        count = 0
        for index in range(last + 1):
            tool, mark, end = self.pairs[index]
            earlier = self.pairs[:index]
            is_known = (tool, mark) in {(name, asked) for name, asked, _ in earlier} and end in {other for *_, other in earlier}
            is_neutral = self.ends[index].answer in {"done", "empty", "waiting"}
            count = 0 if not is_known else count + (not is_neutral)
        return count


def _number(text: str) -> int:
    found = re.search(r"\d+", text)
    assert found is not None, text
    return int(found[0])


def _check(counted: Counted, at: int, verdict: Verdict) -> None:
    """One verdict of the call at this index, `would be` of one that has not been made."""
    last, extra = (at - 1, int("would be" in verdict.evidence)) if "would" in verdict.evidence else (at, 0)
    said = verdict.repeat_count
    if verdict.rule == "repeat":
        expected = counted.equal(last) if "in a row" in verdict.evidence else counted.equal_anywhere(last)
        assert said == expected + extra
    elif verdict.rule == "cycle":
        assert said == counted.rounds(last, verdict.period) + extra
        assert " -> ".join(tool for tool, *_ in counted.pairs[last - verdict.period + 1 : last + 1]) in verdict.evidence
    elif verdict.rule == "near_duplicate" and verdict.period > 1:
        assert said == counted.alike_rounds(last, verdict.period)
    elif verdict.rule == "near_duplicate":
        assert said == counted.alike(last)
    elif verdict.rule == "same_result" and verdict.period > 1:
        assert said == counted.equal_rounds(last, verdict.period)
    elif verdict.rule == "same_result" and "all got" not in verdict.evidence:
        assert said == counted.row(lambda i, j: counted.pairs[i][0::2] == counted.pairs[j][0::2], last)
    elif verdict.rule == "stall":
        assert said == counted.stale(last)
    if verdict.period == 1:
        assert _number(verdict.evidence) == said
    assert verdict.period > 1 or verdict.rule in {"stall", "same_result"} or counted.pairs[at][0] in verdict.evidence


@given(ANY)
def test_what_is_said_can_be_counted_again_from_the_recording(calls: list[Call]) -> None:
    """Numbers and names of every sentence of every rule."""
    counted = Counted(calls)
    for index, row in enumerate(said_of(calls)):
        for verdict in row:
            _check(counted, index, verdict)


@given(st.lists(st.tuples(TOOLS, ARGUMENTS, st.sampled_from([PAGE, KeyError("lost"), KeyError("torn")])), max_size=40))
def test_failures_in_a_row_can_be_counted_again(calls: list[Call]) -> None:
    """Of one tool, without a success or another failure of it in between."""
    counted = Counted(calls)
    for index, row in enumerate(said_of(calls, (ErrorStreak(),))):
        for verdict in row:
            last = index - 1 if "would" in verdict.evidence else index
            tool = calls[index][0]
            own = [counted.failure(place) for place in range(last + 1) if calls[place][0] == tool]
            run = next((count for count, other in enumerate(reversed(own)) if other != own[-1]), len(own))
            assert (verdict.repeat_count, _number(verdict.evidence)) == (run, run)


def test_every_rule_has_something_to_say() -> None:
    """Else the laws above would hold of nothing."""
    watched = {detector.rule for detector in default_detectors()}
    assert watched == {"repeat", "cycle", "near_duplicate", "same_result", "stall", "error_streak"}
    assert NearDuplicate().reads_sketch
