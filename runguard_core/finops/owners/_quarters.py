"""What was spent, and what is usual: the ground on which days, weeks and bursts are judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops._session_costs import percentile
from runguard_core.finops.owners._recipients import Concerned
from runguard_core.ledger import CallFilter, Store

QUARTER = timedelta(minutes=15)
#: What is usual is taken from so many weeks before.
USUAL_WEEKS = 4
_PAYER = ("feature", "team", "owner", "agent")


class Payer(NamedTuple):
    """Whose calls: feature (the app where they named none), team, owner, agent, as they carry them."""

    feature: str
    team: str | None
    owner: str | None
    agent: str | None


class Quarter(NamedTuple):
    """What one payer's calls cost that were admitted in the quarter of an hour from `at` (UTC) on, nano-USD."""

    at: datetime
    payer: Payer
    nanos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What an app has spent; amounts in nano-USD.

    Attributes:
        days: by local date and payer, over the weeks that tell what is usual and to the present.
        pace: of the whole app, by quarters of an hour (UTC), over the same time.
        recent: by quarters of an hour and payer, in order of time, over the time that notices are about.
    """

    days: Mapping[date, Mapping[Payer, int]]
    pace: Mapping[datetime, int]
    recent: tuple[Quarter, ...]

    def of_feature(self, feature: str) -> Mapping[date, int]:
        """A feature's days."""
        sums = {day: sum(nanos for payer, nanos in its.items() if payer.feature == feature) for day, its in self.days.items()}
        return {day: nanos for day, nanos in sums.items() if nanos}

    def features(self) -> tuple[str, ...]:
        """Those that spent something recently, by name."""
        return tuple(sorted({one.payer.feature for one in self.recent}))


def read_spend(store: Store, app: str, calendar: Calendar, first: date, recent: datetime, now: datetime) -> Spend:
    """Spend of an app from a local date on; sums come from the ledger's roll-ups, a few thousand rows however many calls.

    Args:
        recent: from here on by quarters of an hour and payer.
        now: the quarter of an hour that it falls into is read as far as it has gone: a ledger that is cut inside of one has to
            read that quarter's calls one by one, three times over.
    """
    now = datetime.fromtimestamp(-(-now.timestamp() // QUARTER.total_seconds()) * QUARTER.total_seconds(), UTC)
    days = {}
    for window in calendar.window("", first, calendar.date_of(now) + timedelta(days=1)).days:
        day = calendar.day(window)
        days[window] = _by_payer(store, app, CallFilter(app=app, since=day.start, until=min(day.end, now)))
    whole = CallFilter(app=app, since=calendar.instant(first), until=now)
    pace = {
        datetime.fromisoformat(key[0] or ""): total.cost_nanos for key, total in store.totals(("quarter_hour",), whole).items()
    }
    found = store.totals(("quarter_hour", *_PAYER), CallFilter(app=app, since=recent, until=now))
    quarters = [
        Quarter(datetime.fromisoformat(at or ""), Payer(feature or app, *rest), total.cost_nanos)
        for (at, feature, *rest), total in found.items()
        if total.cost_nanos
    ]
    return Spend(days=days, pace=pace, recent=in_time(quarters))


def _by_payer(store: Store, app: str, where: CallFilter) -> dict[Payer, int]:
    sums: dict[Payer, int] = defaultdict(int)
    for (feature, *rest), total in store.totals(_PAYER, where).items():
        sums[Payer(feature or app, *rest)] += total.cost_nanos
    return sums


def in_time(quarters: Iterable[Quarter]) -> tuple[Quarter, ...]:
    """By time, then by payer."""
    return tuple(sorted(quarters, key=lambda one: (one.at, [name or "" for name in one.payer])))


def concerned(spend: Spend) -> Mapping[tuple[str, str | None], Concerned]:
    """What calls of each feature, and of each feature and agent, say of team and owner: of several the dearest."""
    sums: dict[tuple[str, str | None], dict[Payer, int]] = defaultdict(lambda: defaultdict(int))
    for its in spend.days.values():
        for payer, nanos in its.items():
            for agent in {None, payer.agent}:
                sums[payer.feature, agent][payer] += nanos
    return {
        (feature, agent): Concerned(feature=feature, agent=agent, team=_dearest(found, "team"), owner=_dearest(found, "owner"))
        for (feature, agent), found in sums.items()
    }


def _dearest(found: Mapping[Payer, int], field: str) -> str | None:
    sums: dict[str, int] = defaultdict(int)
    for payer, nanos in found.items():
        if (name := getattr(payer, field)) is not None:
            sums[name] += nanos
    return min(sums, key=lambda name: (-sums[name], name), default=None)


def median(values: Iterable[int]) -> int:
    """The lower middle one; 0 of none."""
    return percentile(sorted(values), 0.5) or 0


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
