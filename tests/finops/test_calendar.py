"""Days, weeks, months, quarters and sprints: each instant lies in exactly one of each, whatever clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.budgets import Period
from runguard_core.budgets import window as budget_window
from runguard_core.finops import Calendar

KINDS = ("day", "week", "month", "quarter", "sprint")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Santiago", "Pacific/Apia")
instants = st.datetimes(datetime(2011, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(at=instants, zone=st.sampled_from(ZONES), kind=st.sampled_from(KINDS), starts=st.integers(1, 12))
def test_windows_of_a_kind_follow_each_other_without_gap(at: datetime, zone: str, kind: str, starts: int) -> None:
    """The one before ends where this one begins, and each covers what it was asked for."""
    calendar = Calendar(zone=ZoneInfo(zone), year_starts_in=starts)
    now = calendar.of_kind(kind, at)
    before = calendar.before(now, kind)
    assert now.covers(at)
    assert before.end == now.start
    assert before.end_day == now.first_day
    assert len(now.days) == (now.end_day - now.first_day).days
    assert before.name < now.name


@given(at=instants, zone=st.sampled_from(ZONES))
def test_weeks_and_months_are_those_of_budgets(at: datetime, zone: str) -> None:
    """A review and a budget of the same week speak of the same calls."""
    calendar = Calendar(zone=ZoneInfo(zone))
    for kind, period in (("day", Period.DAY), ("week", Period.WEEK), ("month", Period.MONTH)):
        found = calendar.of_kind(kind, at)
        assert (found.start, found.end) == budget_window(period, at, calendar.zone)


def test_a_week_in_which_clocks_change_has_more_or_fewer_hours() -> None:
    """And is still one week."""
    calendar = Calendar(zone=ZoneInfo("Europe/Berlin"))
    spring, autumn = calendar.week(date(2026, 3, 29)), calendar.week(date(2026, 10, 25))
    assert (spring.end - spring.start, autumn.end - autumn.start) == (timedelta(hours=167), timedelta(hours=169))
    assert (spring.name, autumn.name) == ("2026-W13", "2026-W43")


@pytest.mark.parametrize(
    ("starts", "day", "name", "first"),
    [
        (1, date(2026, 11, 24), "2026-Q4", date(2026, 10, 1)), (4, date(2026, 5, 1), "2026-Q1", date(2026, 4, 1)),
        (4, date(2027, 2, 1), "2026-Q4", date(2027, 1, 1)), (12, date(2026, 12, 31), "2026-Q1", date(2026, 12, 1)),
    ],
)  # fmt: skip
def test_quarters_are_counted_from_the_first_month_of_the_year(starts: int, day: date, name: str, first: date) -> None:
    """A fiscal year is named by the calendar year in which it begins."""
    found = Calendar(year_starts_in=starts).quarter(day)
    assert (found.name, found.first_day) == (name, first)


def test_sprints_are_counted_from_any_sprint_backwards_too() -> None:
    """Two weeks each."""
    calendar = Calendar(sprint_start=date(2026, 11, 16))
    assert calendar.sprint(date(2026, 11, 29)).name == "sprint 2026-11-16"
    assert calendar.sprint(date(2026, 11, 15)).name == "sprint 2026-11-02"
