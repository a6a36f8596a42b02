"""Until when: a small action by the end of the next sprint, a large one of the next quarter with a check in its middle."""

from __future__ import annotations

from datetime import date

from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops.actions._action import Size


def deadline_of(size: Size, opened: date, calendar: Calendar) -> date:
    """The last local date of the next sprint (small) or the next quarter (large)."""
    return date.fromordinal(_next(size, opened, calendar).end_day.toordinal() - 1)


def check_of(size: Size, opened: date, deadline: date, calendar: Calendar) -> date | None:
    """The local date of the mid-point check; small actions have none.

    The middle of the next quarter, or, of a deadline that somebody chose, of the time from opening to it.
    """
    if size is Size.SMALL:
        return None
    is_usual = deadline == deadline_of(size, opened, calendar)
    first = _next(size, opened, calendar).first_day if is_usual else opened
    return date.fromordinal((first.toordinal() + deadline.toordinal()) // 2)


def _next(size: Size, opened: date, calendar: Calendar) -> Window:
    kind = calendar.sprint if size is Size.SMALL else calendar.quarter
    return kind(kind(opened).end_day)
