"""Forecasts: exact series come back, one bad week does not bend the line, the band holds what it says."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.finops.planning import Forecast, Growth, Line, forecast, outgrows, projected

USD = 10**9


def better(found: Forecast) -> Line:
    """The kind that fits better, which is there."""
    assert found.better is not None
    return found.better


def test_thirty_per_cent_for_six_months_is_3861_compounded_and_2240_linear() -> None:
    """And not the $2,200 that were published for it."""
    compound, linear = projected(800 * USD, 0.3, 6)
    assert round(compound[-1] / USD, 2) == 3861.45
    assert linear[-1] == 2240 * USD


@given(
    start=st.integers(USD, 10**6 * USD), rate=st.floats(-0.4, 1.0).filter(lambda rate: abs(rate) > 0.01), count=st.integers(3, 24)
)
def test_a_compound_series_comes_back(start: int, rate: float, count: int) -> None:
    """Rate, next windows, no band to speak of; and it is said to be compound."""
    series = [round(start * (1 + rate) ** number) for number in range(count)]
    if min(series) < 10**5:
        return  # what is left after rounding to whole nano-USD is not compound any more
    found = forecast(series, 4)
    line = better(found)
    assert line.growth is Growth.COMPOUND
    assert line.step_ratio == pytest.approx(rate, abs=1e-3)
    for number, point in enumerate(line.points):
        assert point.nanos == pytest.approx(min(start * (1 + rate) ** (count + number), 2**62), rel=1e-3)
        assert point.low_nanos is not None
        assert point.high_nanos is not None
        assert point.low_nanos <= point.nanos <= point.high_nanos
        assert point.high_nanos - point.low_nanos <= point.nanos * 0.02


@given(start=st.integers(USD, 10**6 * USD), step=st.integers(-(10**10), 10**13), count=st.integers(3, 24))
def test_a_linear_series_comes_back(start: int, step: int, count: int) -> None:
    """Step and next windows, no less than nothing; and it is said to be linear."""
    series = [start + step * number for number in range(count)]
    if min(series) <= 0:
        return
    line = better(forecast(series, 4))
    assert line.growth is Growth.LINEAR
    assert line.step_nanos == pytest.approx(step, abs=2, rel=1e-9)
    for number, point in enumerate(line.points):
        assert point.nanos == pytest.approx(max(start + step * (count + number), 0), rel=1e-9, abs=10)


@given(st.lists(st.integers(0, 10**18), max_size=30), st.integers(1, 12))
def test_any_series_gives_amounts_that_an_account_can_hold(series: list[int], ahead: int) -> None:
    """However wild: no less than nothing, no more than 2**62, the band around the middle."""
    found = forecast(series, ahead)
    for line in (found.linear, found.compound):
        for point in line.points if line else ():
            assert 0 <= point.nanos <= 2**62
            if point.low_nanos is not None and point.high_nanos is not None:
                assert point.low_nanos <= point.nanos <= point.high_nanos


@pytest.mark.parametrize("series", [[], [0, 0, 0], [5 * USD], [0, 0, 7]])
def test_one_window_with_spend_is_no_growth(series: list[int]) -> None:
    """Too few to tell, and what lies before the first spend does not count."""
    found = forecast(series, 3)
    assert (found.linear, found.compound, found.better) == (None, None, None)


def test_two_windows_give_a_rate_and_no_band() -> None:
    """A band of two points would be made up."""
    line = better(forecast([USD, 2 * USD], 1))
    assert (line.points[0].low_nanos, line.points[0].high_nanos) == (None, None)


def test_a_window_without_spend_in_between_leaves_no_compound_growth() -> None:
    """There is no logarithm of nothing."""
    found = forecast([USD, 0, 3 * USD], 1)
    assert found.compound is None
    assert better(found).growth is Growth.LINEAR


def test_one_week_with_an_incident_does_not_bend_the_line() -> None:
    """Five times the spend once: the growth stays, the band grows."""
    series = [round(100 * USD * 1.02**number) for number in range(16)]
    hit = [*series[:13], series[13] * 5, *series[14:]]
    calm, found = forecast(series, 1).compound, forecast(hit, 1).compound
    assert calm is not None
    assert found is not None
    assert found.step_ratio == pytest.approx(0.02, abs=0.002)
    assert (found.points[0].high_nanos or 0) > 1.3 * (calm.points[0].high_nanos or 0)


def test_the_band_holds_about_four_of_five_windows() -> None:
    """2,000 drawn series of 12 weeks, noise of 15 %: the 13th lies within the band in 75 to 85 per cent of them."""
    dice, held = Random(7), 0
    for _ in range(2000):
        *past, truth = (round(100 * USD * 1.03**number * math.exp(dice.gauss(0, 0.15))) for number in range(13))
        line = forecast(past, 1).compound
        assert line is not None
        point = line.points[0]
        held += (point.low_nanos or 0) <= truth <= (point.high_nanos or 0)
    assert 0.75 < held / 2000 < 0.85


def test_a_budget_is_outgrown_in_the_first_window_above_it() -> None:
    """Reaching it exactly is allowed; the band passes it sooner."""
    line = better(forecast([100 * USD, 110 * USD, 120 * USD, 130 * USD], 5))
    assert [point.nanos // USD for point in line.points] == [140, 150, 160, 170, 180]
    assert outgrows(line.points, [160 * USD] * 5) == 3
    assert outgrows(line.points, [999 * USD] * 5) is None
    assert outgrows(line.points, [160 * USD] * 5, "high_nanos") in (2, 3)
