"""Which release raised cost per session: named with its part of the prompt, surely or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.calls import PromptPart
from runguard_core.finops import Moments, t_quantile
from runguard_core.finops.why import LEAST_SESSIONS, Blamed, Verdict, culprit, difference
from runguard_core.finops.why._intervals import CONFIDENCE_RATIO
from runguard_core.ledger import CallRecord, CallState
from runguard_core.reports import part_costs
from runguard_core.testing._ledger_values import T0, a_call, a_settlement
from runguard_core.usage import Usage


def a_session(number: int, release: str | None, searched_chars: int = 1000, turns: int = 2) -> list[CallRecord]:
    """Its calls at a nano-dollar a token of the prompt and four of the answer; sessions differ a little."""
    found = []
    for turn in range(turns):
        at = T0 + timedelta(minutes=10 * number, seconds=turn)
        parts = (
            PromptPart("system", 2000),
            PromptPart("user", 300 + 40 * (number % 7)),
            PromptPart("tool:search", searched_chars),
        )
        prompt = sum(part.chars for part in parts) // 4
        settlement = a_settlement(prompt + 4 * 50, at=at, usage=Usage(input_tokens=prompt, output_tokens=50))
        call = a_call(at=at, feature="search", session=f"s{number}", run=None, release=release)
        found.append(replace(call, parts=parts, state=CallState.POSTED, settlement=settlement))
    return found


def releases(*runs: tuple[str | None, int, int]) -> Blamed:
    """So many sessions of each release, with so many characters of search results."""
    blamed, number = Blamed("search"), 0
    for release, count, chars in runs:
        for _ in range(count):
            blamed.add(a_session(number, release, chars))
            number += 1
    return blamed


def test_the_release_that_raised_cost_is_named_with_the_part_that_did_it() -> None:
    """The interval holds the truth, which is known here, and the parts add up to the change."""
    one, other, third = releases(("1.4", 40, 1000), ("1.5", 40, 9000), ("1.6", 40, 9000)).releases()
    assert (one.verdict, other.verdict, third.verdict) == (Verdict.FIRST, Verdict.RAISED, Verdict.UNSHOWN)
    assert culprit((one, other, third)) is other
    assert other.change is not None and other.change.low <= 2 * 8000 // 4 <= other.change.high
    assert other.parts[0].part == "tool:search" and other.parts[0].change.is_sure
    exact = sum((part.after.mean - part.before.mean for part in other.parts), Fraction(0))
    assert exact == other.cost.mean - one.cost.mean
    assert {part.part for part in other.parts} == {"system", "user", "tool:search", "answer"}


def test_a_release_that_lowers_cost_is_no_culprit() -> None:
    """It is said, and nobody is blamed."""
    found = releases(("1.4", 40, 9000), ("1.5", 40, 1000)).releases()
    assert found[1].verdict is Verdict.LOWERED
    assert culprit(found) is None


def test_too_few_sessions_are_said_to_be_too_few() -> None:
    """On either side, whatever they cost."""
    for before, after in ((LEAST_SESSIONS - 1, 40), (40, LEAST_SESSIONS - 1)):
        found = releases(("1.4", before, 1000), ("1.5", after, 99_000)).releases()
        assert found[1].verdict is Verdict.TOO_FEW
        assert found[1].change is None and culprit(found) is None


def test_a_session_belongs_to_the_release_in_which_it_began() -> None:
    """What it costs after an upgrade is not the new release's doing."""
    blamed = Blamed("search")
    blamed.add([*a_session(0, "1.4"), *a_session(0, "1.5")])
    (only,) = blamed.releases()
    assert (only.name, only.cost.count, only.split_count) == ("1.4", 1, 1)


def test_calls_without_a_release_and_of_other_features_are_left_out() -> None:
    """The first are counted; a tag may name the release."""
    blamed = Blamed("search", "prompt")
    tagged = [replace(call, attribution=call.attribution.with_values(tags={"prompt": "v2"})) for call in a_session(1, None)]
    strange = [replace(call, attribution=call.attribution.with_values(feature="chat")) for call in a_session(2, "1")]
    blamed.add([*a_session(0, None), *tagged, *strange])
    assert blamed.unnamed_count == 2
    assert [one.name for one in blamed.releases()] == ["v2"]


@given(costs=st.lists(st.integers(0, 10**12), min_size=2, max_size=30))
def test_moments_are_those_of_a_jackknife(costs: list[int]) -> None:
    """The error of the mean, leaving out each session in turn."""
    moments = Moments()
    for cost in costs:
        moments = moments.plus(cost)
    count, total = len(costs), sum(costs)
    left_out = [Fraction(total - cost, count - 1) for cost in costs]
    mean = sum(left_out, Fraction(0)) / count
    assert moments.mean == Fraction(total, count)
    assert moments.error == Fraction(count - 1, count) * sum(((one - mean) ** 2 for one in left_out), Fraction(0))


@pytest.mark.parametrize(("freedom", "table"), [(4, 2.7764), (10, 2.2281), (19, 2.0930), (40, 2.0211), (1e9, 1.9600)])
def test_the_points_of_students_t_are_those_of_the_tables(freedom: float, table: float) -> None:
    """Within a hundredth."""
    assert abs(t_quantile(freedom, CONFIDENCE_RATIO) - table) < 0.01


def test_equal_sessions_have_an_interval_of_no_width() -> None:
    """Nothing is divided by nothing."""
    same = Moments().plus(5).plus(5)
    found = difference(same, Moments().plus(7).plus(7))
    assert (found.nanos, found.low, found.high) == (2, 2, 2)


def test_the_parts_of_a_call_add_up_to_its_cost() -> None:
    """Measured or not, model or tool."""
    for call in a_session(0, "1"):
        assert sum(part_costs(call).values()) == call.cost_nanos
        assert sum(part_costs(replace(call, parts=())).values()) == call.cost_nanos
