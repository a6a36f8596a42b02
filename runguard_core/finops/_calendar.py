"""Days, weeks, months, quarters and sprints of a team, in its time zone: what a review, a statement or a plan is about.

A window is named by local dates and is the same whatever happens to clocks in it: a week in which clocks change has 167 or 169
hours, and no instant belongs to two windows or to none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time with a name.

    Attributes:
        name: "2026-11-24", "2026-W48", "2026-11", "2026-Q4" or "sprint 2026-11-16": sorts by time among its kind.
        start, end: first instant and first instant after (UTC).
        first_day, end_day: the same as local dates.
    """

    name: str
    start: datetime
    end: datetime
    first_day: date
    end_day: date

    def covers(self, at: datetime) -> bool:
        """Whether an instant lies in it."""
        return self.start <= at < self.end

    @property
    def days(self) -> tuple[date, ...]:
        """Its local dates in order."""
        return tuple(self.first_day + timedelta(days=number) for number in range((self.end_day - self.first_day).days))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """How a team counts time; weeks begin on Monday, as those of budgets do.

    Attributes:
        zone: of every local date.
        sprint_start: first day of any sprint; sprint_days: how long each is.
        year_starts_in: month in which quarters begin to be counted, 1 to 12: with 4, May is in Q1.
    """

    zone: tzinfo = UTC
    sprint_start: date = date(2026, 1, 5)
    sprint_days: int = 14
    year_starts_in: int = 1

    def day(self, at: datetime | date) -> Window:
        """The local day of an instant or a local date."""
        first = self.date_of(at)
        return self.window(f"{first}", first, first + timedelta(days=1))

    def week(self, at: datetime | date) -> Window:
        """The ISO week."""
        first = self.date_of(at)
        first -= timedelta(days=first.weekday())
        year, number, _ = first.isocalendar()
        return self.window(f"{year}-W{number:02}", first, first + timedelta(days=7))

    def month(self, at: datetime | date) -> Window:
        """The calendar month."""
        first = self.date_of(at).replace(day=1)
        return self.window(f"{first:%Y-%m}", first, _months_after(first, 1))

    def quarter(self, at: datetime | date) -> Window:
        """Three months of the year that begins in `year_starts_in`; named by the year in which that year begins."""
        month = self.date_of(at).replace(day=1)
        gone = (month.month - self.year_starts_in) % 12
        first = _months_after(month, -(gone % 3))
        year = _months_after(month, -gone).year
        return self.window(f"{year}-Q{gone // 3 + 1}", first, _months_after(first, 3))

    def sprint(self, at: datetime | date) -> Window:
        """The sprint; also before the first one that was named."""
        number = (self.date_of(at) - self.sprint_start).days // self.sprint_days
        first = self.sprint_start + timedelta(days=number * self.sprint_days)
        return self.window(f"sprint {first}", first, first + timedelta(days=self.sprint_days))

    def before(self, window: Window, kind: str, count: int = 1) -> Window:
        """The window of a kind ("day", "week", "month", "quarter", "sprint") so many before another one."""
        for _ in range(count):
            window = self.of_kind(kind, window.first_day - timedelta(days=1))
        return window

    def of_kind(self, kind: str, at: datetime | date) -> Window:
        """The window of a kind that an instant or a date lies in. KeyError: no such kind."""
        return {"day": self.day, "week": self.week, "month": self.month, "quarter": self.quarter, "sprint": self.sprint}[kind](at)

    def window(self, name: str, first: date, end: date) -> Window:
        """From a local date to the one that is no longer in it."""
        return Window(name, self.instant(first), self.instant(end), first, end)

    def instant(self, day: date) -> datetime:
        """First instant of a local date (UTC); where midnight is twice, the first."""
        return datetime.combine(day, time(), self.zone).replace(fold=0).astimezone(UTC)

    def date_of(self, at: datetime | date) -> date:
        """The local date of an instant."""
        return at.astimezone(self.zone).date() if isinstance(at, datetime) else at


#: Of a policy that says nothing.
CALENDAR = Calendar()


def _months_after(day: date, count: int) -> date:
    months = day.year * 12 + day.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)
