"""What was spent, by feature and quarter of an hour: the one reading of the ledger that plans, reserves and forecasts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from runguard_core.finops._calendar import Calendar, Window
from runguard_core.ledger import CallFilter, Store


@dataclass(frozen=True, slots=True)
class Spend:
    """Spend of some features over time.

    Attributes:
        nanos: nano-USD by (feature, first instant of a quarter of an hour, UTC); a feature is the app where no call named one.
        since: the first instant that was asked for (or the first call); until: the first that was not.
    """

    nanos: Mapping[tuple[str, datetime], int]
    since: datetime
    until: datetime
    _features: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Names once, in order."""
        object.__setattr__(self, "_features", tuple(sorted({feature for feature, _ in self.nanos})))

    @property
    def features(self) -> tuple[str, ...]:
        """By name."""
        return self._features

    @property
    def total(self) -> int:
        """All of it, nano-USD."""
        return sum(self.nanos.values())

    def of(self, window: Window, feature: str | None = None) -> int:
        """Spend within a window, of one feature or all."""
        return sum(nanos for (its, at), nanos in self.nanos.items() if window.covers(at) and (feature is None or its == feature))

    def by_feature(self, window: Window) -> dict[str, int]:
        """Spend within a window by feature, by name."""
        found = dict.fromkeys(self.features, 0)
        for (feature, at), nanos in self.nanos.items():
            if window.covers(at):
                found[feature] += nanos
        return found

    def by_kind(self, calendar: Calendar, kind: str) -> dict[str, dict[date, int]]:
        """Spend by feature, and by windows of a kind ("day", "week", "month") named by their first local day."""
        found: dict[str, dict[date, int]] = {feature: {} for feature in self.features}
        firsts: dict[date, date] = {}
        for (feature, at), nanos in self.nanos.items():
            day = calendar.date_of(at)
            first = firsts.get(day)
            if first is None:
                first = firsts[day] = calendar.of_kind(kind, day).first_day
            its = found[feature]
            its[first] = its.get(first, 0) + nanos
        return found


def whole_windows(spend: Spend, calendar: Calendar, kind: str) -> list[Window]:
    """The windows of a kind that lie wholly within what was read, by time."""
    found, window = [], calendar.of_kind(kind, spend.since)
    if window.start < spend.since:
        window = calendar.of_kind(kind, window.end_day)
    while window.end <= spend.until:
        found.append(window)
        window = calendar.of_kind(kind, window.end_day)
    return found


def read_spend(store: Store, app: str | None, calendar: Calendar, until: datetime, since: datetime | None = None) -> Spend:
    """Spend of a ledger up to an instant.

    Args:
        since: None means from the first call on. Days before the first call that is found are not days without spend: what is
            read begins with its local day.
    """
    found: dict[tuple[str, datetime], int] = {}
    totals = store.totals(("app", "feature", "quarter_hour"), CallFilter(app=app, since=since, until=until))
    for (its_app, feature, quarter), total in totals.items():
        key = (feature or its_app or "", datetime.fromisoformat(quarter or "").astimezone(UTC))
        found[key] = found.get(key, 0) + total.cost_nanos
    first = calendar.day(min((at for _, at in found), default=until)).start
    return Spend(dict(sorted(found.items())), first if since is None else max(first, since), until)


def dearest_hours(spend: Spend, day: Window, hour_count: int) -> int:
    """The most that was spent in so many consecutive hours beginning within a day, at the day's clock hours (nano-USD).

    A day on which clocks change has 23 or 25 of them.
    """
    quarters: dict[datetime, int] = {}
    for (_, at), nanos in spend.nanos.items():
        if day.start <= at < day.end:
            quarters[at] = quarters.get(at, 0) + nanos
    hours = [0] * max(round((day.end - day.start) / timedelta(hours=1)), 1)
    for at, nanos in quarters.items():
        hours[min((at - day.start) // timedelta(hours=1), len(hours) - 1)] += nanos
    return max(sum(hours[place : place + hour_count]) for place in range(max(len(hours) - hour_count, 0) + 1))
