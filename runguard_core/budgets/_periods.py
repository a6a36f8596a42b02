"""Calendar windows: which hour, day, week or month an instant belongs to, in the policy's time zone.

A window is named by the first instant of its local date (`fold=0`), so that a day on which clocks go back has one
window, not two, and a day whose midnight does not exist still has one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum


class Period(StrEnum):
    """How long a budget counts before it starts again."""

    TURN = "turn"
    RUN = "run"
    SESSION = "session"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    LIFETIME = "lifetime"

    @property
    def is_calendar(self) -> bool:
        """Whether it has a window on the calendar."""
        return self in _CALENDAR

    @property
    def splits_by(self) -> tuple[str, ...]:
        """Dimensions that a period implies: a turn is numbered within its run."""
        return {Period.TURN: ("run", "instance", "turn"), Period.RUN: ("run",), Period.SESSION: ("session",)}.get(self, ())


_CALENDAR = frozenset({Period.HOUR, Period.DAY, Period.WEEK, Period.MONTH})
Window = tuple[datetime, datetime]


def window(period: Period, at: datetime, zone: tzinfo) -> Window | None:
    """First instant and first instant after, both UTC; None for periods that are not on the calendar."""
    if not period.is_calendar:
        return None
    if period is Period.HOUR:
        start = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return start, start + timedelta(hours=1)
    local = at.astimezone(zone)
    day = datetime(local.year, local.month, local.day)  # noqa: DTZ001  a local date; _instant gives it its zone
    if period is Period.WEEK:
        day -= timedelta(days=day.weekday())
    if period is Period.MONTH:
        day = day.replace(day=1)
    return _instant(day, zone), _instant(_after(day, period), zone)


def _after(day: datetime, period: Period) -> datetime:
    if period is Period.MONTH:
        return (day + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=7 if period is Period.WEEK else 1)


def _instant(day: datetime, zone: tzinfo) -> datetime:
    return day.replace(tzinfo=zone, fold=0).astimezone(UTC)
