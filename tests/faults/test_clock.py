"""A wall clock that goes back, ahead by a year, over a day that is longer or has no midnight: one day, one budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from runguard_core import Budget, Guard
from tests.guard.clock import FakeClock
from tests.guard.spending import CENT, spend


def guard_at(path: Path, clock: FakeClock, zone: str = "UTC") -> Guard:
    """A day's budget of ten cents; and one that tells users apart, so that a new user's accounts are looked up anew."""
    budgets = [Budget("0.10 USD", period="day"), Budget("1000 calls", per=["user"])]
    return Guard(app="x", store=f"sqlite:///{path}", prices=CENT, budgets=budgets, timezone=zone, clock=clock)


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("America/Havana", datetime(2024, 11, 3, 0, 30, fold=0), datetime(2024, 11, 3, 0, 30, fold=1)),  # midnight comes twice
        ("America/Sao_Paulo", datetime(2018, 11, 4, 1, 0), datetime(2018, 11, 4, 23, 59)),  # no midnight
        ("Africa/Cairo", datetime(2024, 4, 26, 1, 0), datetime(2024, 4, 26, 23, 59)),  # no midnight
        ("Europe/Zurich", datetime(2024, 10, 27, 2, 30, fold=0), datetime(2024, 10, 27, 2, 30, fold=1)),  # an hour twice
        ("Australia/Lord_Howe", datetime(2024, 4, 7, 1, 45, fold=0), datetime(2024, 4, 7, 1, 45, fold=1)),  # half an hour twice
    ],
)
def test_one_local_day_has_one_budget(tmp_path: Path, zone: str, before: datetime, after: datetime) -> None:
    """Whoever starts in the second half of a day that changes its clocks finds what the first half has spent."""
    place = ZoneInfo(zone)
    for at, passed in ((before, 6), (after, 4)):
        with guard_at(tmp_path / "l.db", FakeClock(at.replace(tzinfo=place).astimezone(UTC)), zone) as guard:
            assert spend(guard, 6 if passed == 6 else 99) == passed
            assert len([row for row in guard.store.accounts() if row.account.window_start]) == 1
    tomorrow = datetime(after.year, after.month, after.day, tzinfo=place) + timedelta(days=1)
    with guard_at(tmp_path / "l.db", FakeClock(tomorrow.astimezone(UTC)), zone) as guard:
        assert spend(guard, 99) == 10


@pytest.mark.parametrize("jump", [timedelta(days=365), -timedelta(days=365), timedelta(hours=13), -timedelta(hours=13)])
def test_a_clock_that_jumps_opens_no_other_day(tmp_path: Path, jump: timedelta) -> None:
    """Neither tomorrow's budget (nor that of next year) nor yesterday's once more."""
    clock = FakeClock()
    with guard_at(tmp_path / "l.db", clock) as guard:
        assert spend(guard, 4) == 4
        clock.wall += jump
        with guard.session("s", user="of the jump"):
            assert spend(guard, 99) == 6
        clock.wall -= jump
        clock.advance(minutes=1)
        assert spend(guard, 99) == 0
        assert guard.store.verify() == ()
        (day,) = [row for row in guard.store.accounts() if row.account.window_start]
        assert day.balance.posted == 10**8


def test_a_year_that_is_right_after_all_is_believed(tmp_path: Path) -> None:
    """A laptop that slept over midnight: after ten minutes the day is the new one, and the old one is never reopened."""
    clock = FakeClock()
    with guard_at(tmp_path / "l.db", clock) as guard:
        assert spend(guard, 99) == 10
        clock.wall += timedelta(days=1)
        assert spend(guard, 99) == 0
        clock.advance(minutes=11)
        assert spend(guard, 99) == 10
        clock.wall -= timedelta(days=1)
        assert spend(guard, 99) == 0
