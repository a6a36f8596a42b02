"""Spend by quarters of an hour, and what is usual: the ground on which days, weeks and bursts are judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops.owners._recipients import Concerned
from runguard_core.ledger import CallFilter, Store

QUARTER = timedelta(minutes=15)
#: What is usual is taken from so many weeks before.
USUAL_WEEKS = 4


class Quarter(NamedTuple):
    """What one agent of one feature cost in a quarter of an hour, by the admission of its calls.

    Attributes:
        at: first instant (UTC). feature: the app where calls named none. team, owner, agent: as calls carry them.
        nanos: charged, nano-USD.
    """

    at: datetime
    feature: str
    team: str | None
    owner: str | None
    agent: str | None
    nanos: int


def quarters(store: Store, app: str, since: datetime, until: datetime) -> tuple[Quarter, ...]:
    """Spend of an app in [since, until), in order of time."""
    by = ("quarter_hour", "feature", "team", "owner", "agent")
    found = store.totals(by, CallFilter(app=app, since=since, until=until))
    made = [
        Quarter(datetime.fromisoformat(at or ""), feature or app, team, owner, agent, total.cost_nanos)
        for (at, feature, team, owner, agent), total in found.items()
        if total.cost_nanos
    ]
    return tuple(sorted(made, key=lambda one: (one.at, one.feature, one.team or "", one.owner or "", one.agent or "")))


def concerned(spent: Iterable[Quarter]) -> Mapping[tuple[str, str | None], Concerned]:
    """What calls of each feature, and of each feature and agent, say of team and owner: of several the dearest."""
    sums: dict[tuple[str, str | None], dict[tuple[str | None, str | None], int]] = defaultdict(lambda: defaultdict(int))
    for one in spent:
        for agent in {None, one.agent}:
            sums[one.feature, agent][one.team, one.owner] += one.nanos
    return {
        (feature, agent): Concerned(feature=feature, agent=agent, team=_dearest(found, 0), owner=_dearest(found, 1))
        for (feature, agent), found in sums.items()
    }


def _dearest(found: Mapping[tuple[str | None, str | None], int], place: int) -> str | None:
    sums: dict[str, int] = defaultdict(int)
    for key, nanos in found.items():
        if (name := key[place]) is not None:
            sums[name] += nanos
    return min(sums, key=lambda name: (-sums[name], name), default=None)


def by_day(spent: Iterable[Quarter], calendar: Calendar) -> Mapping[date, int]:
    """Sums by local date."""
    sums: dict[date, int] = defaultdict(int)
    dates: dict[datetime, date] = {}
    for one in spent:
        day = dates.get(one.at)
        if day is None:
            day = dates[one.at] = calendar.date_of(one.at)
        sums[day] += one.nanos
    return sums


def weeks_of(spent: Iterable[Quarter], calendar: Calendar) -> Mapping[datetime, Window]:
    """The week of each quarter of an hour in which something was spent."""
    return {at: calendar.week(at) for at in dict.fromkeys(one.at for one in spent)}


def median(values: Iterable[int]) -> int:
    """The lower middle one; 0 of none."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2] if ordered else 0


def usual_day(days: Mapping[date, int], day: date, min_history_days: int) -> int | None:
    """What a whole day like this one usually costs, nano-USD: the median of four weeks.

    The larger of the median of weekdays or weekends, whichever it is, and of all days: three times a quiet Sunday is no alarm.
    None while the history is shorter than `min_history_days`, and where nothing is usual. Days without spend count.
    """
    first = min(days, default=day)
    start = max(first, day - timedelta(weeks=USUAL_WEEKS))
    before = [start + timedelta(days=number) for number in range((day - start).days)]
    if len(before) < min_history_days:
        return None
    like = [days.get(one, 0) for one in before if (one.weekday() >= 5) == (day.weekday() >= 5)]
    return max(median(like), median(days.get(one, 0) for one in before)) or None


def share_of_week(week: Window, elapsed: timedelta, past: Iterable[tuple[Window, Mapping[datetime, int]]]) -> tuple[float, int]:
    """By what share a usual week is over after so much of it, and from how many weeks that is known.

    Args:
        week: the present one. past: weeks before it with their spend by quarters of an hour; those that cost nothing are
            passed over. With fewer than two the share of time is all that is known (0 weeks).
    """
    shares = []
    for window, sums in past:
        whole = sum(sums.values())
        if whole:
            shares.append(sum(nanos for at, nanos in sums.items() if at < window.start + elapsed) / whole)
    if len(shares) < 2:
        return elapsed / (week.end - week.start), 0
    return sum(shares) / len(shares), len(shares)
