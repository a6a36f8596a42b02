"""Windows as people write them: "2026-W47", "2026-11", "2026-Q4", "2026-11-24", "2026-11-16..2026-11-20"."""

from __future__ import annotations

import re
from datetime import date, datetime

from runguard_core.errors import PolicyError
from runguard_core.finops._calendar import Calendar, Window

_WORDS = '"2026-W47", "2026-11", "2026-Q4", "2026-11-24" or "2026-11-16..2026-11-20"'


def named_window(calendar: Calendar, text: str, key: str = "window") -> Window:
    """The window that a text names, in the calendar's zone; the last day of a span is in it.

    Raises:
        PolicyError: it names none; `key` says where it was written.
    """
    try:
        return _parsed(calendar, text.strip())
    except ValueError:
        raise PolicyError(key=key, expected=f"expected {_WORDS}, got {text!r:.60}") from None


def _parsed(calendar: Calendar, text: str) -> Window:
    if ".." in text:
        first, last = (date.fromisoformat(part) for part in text.split("..", 1))
        if last < first:
            raise ValueError(text)
        return calendar.window(f"{first}..{last}", first, calendar.day(last).end_day)
    if week := re.fullmatch(r"(\d{4})-W(\d{1,2})", text, re.IGNORECASE):
        return calendar.week(date.fromisocalendar(int(week[1]), int(week[2]), 1))
    if quarter := re.fullmatch(r"(\d{4})-Q([1-4])", text, re.IGNORECASE):
        months = calendar.year_starts_in - 1 + 3 * (int(quarter[2]) - 1)
        return calendar.quarter(date(int(quarter[1]) + months // 12, months % 12 + 1, 1))
    if month := re.fullmatch(r"(\d{4})-(\d{2})", text):
        return calendar.month(date(int(month[1]), int(month[2]), 1))
    return calendar.day(date.fromisoformat(text))


def last_two(calendar: Calendar, now: datetime) -> tuple[Window, Window]:
    """The week before the last whole one, and that one: what is compared where nobody names windows."""
    last = calendar.before(calendar.week(now), "week")
    return calendar.before(last, "week"), last
