"""Calendar windows in every zone: one window per local day, never two, never none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.budgets import Period, window

ZONES = [
    "UTC",
    "Europe/Zurich",
    "America/Havana",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
]


@given(
    st.datetimes(datetime(2015, 1, 1), datetime(2027, 1, 1)),
    st.sampled_from(ZONES),
    st.sampled_from([p for p in Period if p.is_calendar]),
)
def test_every_instant_lies_in_its_window_and_windows_touch(at: datetime, zone: str, period: Period) -> None:
    """start <= at < end, and the next window starts where this one ends."""
    when, where = at.replace(tzinfo=UTC), ZoneInfo(zone)
    found = window(period, when, where)
    assert found is not None
    start, end = found
    assert start <= when < end
    assert window(period, end, where) == (end, window(period, end, where)[1])  # type: ignore[index]  # a calendar period
    assert window(period, end - timedelta(microseconds=1), where) == found


@pytest.mark.parametrize(("day", "zone", "hours"), [((2018, 11, 4), "America/Sao_Paulo", 23), ((2024, 4, 26), "Africa/Cairo", 23),
                                                     ((2024, 11, 3), "America/Havana", 25), ((2024, 3, 31), "Europe/Zurich", 23),
                                                     ((2024, 7, 1), "Europe/Zurich", 24)])  # fmt: skip
def test_days_have_23_24_or_25_hours(day: tuple[int, int, int], zone: str, hours: int) -> None:
    """Also where midnight does not exist or comes twice."""
    noon = datetime(*day, 12, tzinfo=ZoneInfo(zone))
    start, end = window(Period.DAY, noon, ZoneInfo(zone)) or (noon, noon)
    assert end - start == timedelta(hours=hours)


def test_havana_has_one_window_where_midnight_comes_twice() -> None:
    """Both halves of the repeated hour belong to the same day."""
    zone = ZoneInfo("America/Havana")
    first = datetime(2024, 11, 3, 0, 30, tzinfo=zone, fold=0)
    second = datetime(2024, 11, 3, 0, 30, tzinfo=zone, fold=1)
    assert window(Period.DAY, first, zone) == window(Period.DAY, second, zone)


def test_periods_off_the_calendar_have_no_window() -> None:
    """A session lasts as long as it lasts."""
    assert window(Period.SESSION, datetime(2026, 1, 1, tzinfo=UTC), UTC) is None
