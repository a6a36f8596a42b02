"""Verdicts: the direction of the median beyond chance, the number of anomalies, weeks of rise."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.finops.reviews import Direction, Verdict, direction, middle, rising_weeks, verdict


def costs(dice: Random, count: int, level: float) -> list[int]:
    return sorted(round(level * 10**6 * dice.lognormvariate(0, 1)) for _ in range(count))


def test_a_median_moves_by_chance_in_about_one_of_twenty_and_not_more() -> None:
    """The same level twice: up or down is said seldom; a level twice as high is seen."""
    dice = Random(5)
    same = [direction(costs(dice, 200, 1), costs(dice, 800, 1)) for _ in range(400)]
    assert sum(found is not Direction.LEVEL for found in same) <= 400 * 0.07
    twice = [direction(costs(dice, 200, 2), costs(dice, 800, 1)) for _ in range(100)]
    assert twice.count(Direction.UP) >= 99
    assert direction(costs(dice, 200, 0.5), costs(dice, 800, 1)) is Direction.DOWN


def test_a_small_change_is_level_however_sure_it_is() -> None:
    """Five per cent of thousands of equal sessions: nobody should open a ticket for it."""
    assert direction([105] * 5000, [100] * 5000) is Direction.LEVEL
    assert direction([111] * 5000, [100] * 5000) is Direction.UP


def test_few_sessions_show_no_direction() -> None:
    """Nine are too few, on either side."""
    assert direction([9] * 9, [1] * 500) is Direction.UNKNOWN
    assert direction([9] * 500, []) is Direction.UNKNOWN


@given(values=st.lists(st.integers(0, 10**12), min_size=10, max_size=300))
def test_the_median_lies_in_its_interval(values: list[int]) -> None:
    """And both ends are costs of sessions."""
    found = middle(sorted(values))
    assert found is not None
    assert found.least_nanos <= found.nanos <= found.most_nanos
    assert {found.least_nanos, found.most_nanos} <= set(values)


@pytest.mark.parametrize(
    ("went", "now", "before", "found"),
    [
        (Direction.LEVEL, 0, 0, Verdict.NORMAL), (Direction.LEVEL, 2, 2, Verdict.NORMAL), (Direction.UNKNOWN, 0, 0, Verdict.NORMAL),
        (Direction.UP, 0, 0, Verdict.DEGRADING), (Direction.UP, 0, 5, Verdict.DEGRADING), (Direction.LEVEL, 1, 0, Verdict.DEGRADING),
        (Direction.DOWN, 1, 0, Verdict.DEGRADING), (Direction.DOWN, 0, 0, Verdict.IMPROVING), (Direction.LEVEL, 1, 3, Verdict.IMPROVING),
    ],
)  # fmt: skip
def test_a_verdict_follows_from_the_direction_and_the_anomalies(went: Direction, now: int, before: int, found: Verdict) -> None:
    """The rule that every page states."""
    assert verdict(went, now, before) is found


@given(spends=st.lists(st.integers(0, 5), max_size=12))
def test_rising_weeks_are_counted_back_from_the_last(spends: list[int]) -> None:
    """By counting: the longest tail in which each is dearer than the one before."""
    tails = [k for k in range(len(spends)) if all(spends[-i - 1] < spends[-i] for i in range(1, k + 1))]
    assert rising_weeks(spends) == max(tails, default=0)
