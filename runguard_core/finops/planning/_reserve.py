"""The reserve: how much of it this month has used, and which tails it would carry.

Rules, so that a person can check each number against `runguard report --by day`:

- *Used*: what was spent this month above the steady pace, steady amount x the share of the month that has passed (seconds of
  the window, so that months in which clocks change count right). A cheap weekend makes up for a dear Monday.
- *Released*: what planned windows for which the reserve is free will still cost above the usual; it is not there for tails.
- *Ten times the traffic for six hours* costs nine times the peak six hours: of each of the last 28 whole days the dearest six
  consecutive hours, and of these the value that three days of four do not exceed.
- *Three times the usage for a week* costs two more weeks: of the last four whole weeks the one that three of four do not exceed.
- *Twice the cost of every session* costs another month: the mean of the last 28 whole days times the days of this month.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops._session_costs import percentile
from runguard_core.finops.planning._ahead import LOOKBACK_DAYS, usual_days
from runguard_core.finops.planning._plan import Plan
from runguard_core.finops.planning._spend import Spend, dearest_hours, whole_windows

_LOOKBACK_WEEKS = 4
_BUSY = 0.75
_PEAK_HOURS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """The reserve of a month, nano-USD.

    Attributes:
        month: the window. spent_nanos: so far. pace_nanos: what the steady state would have cost so far.
        reserve_nanos: the whole reserve; used_nanos: spent above the pace; it may be more than the reserve.
        released_nanos: what planned windows will still take of it.
        run_rate_nanos: a month at the mean day of the last four weeks (None: no whole day is known).
    """

    month: Window
    spent_nanos: int
    pace_nanos: int
    reserve_nanos: int
    used_nanos: int
    run_rate_nanos: int | None
    released_nanos: int = 0

    @property
    def left_nanos(self) -> int:
        """Of the reserve, for what nobody planned; not below 0."""
        return max(self.reserve_nanos - self.used_nanos - self.released_nanos, 0)

    @property
    def used_ratio(self) -> float:
        """Used share of the reserve (above 1: more than it); 0 where there is none and nothing is used."""
        if not self.reserve_nanos:
            return float(self.used_nanos > 0)
        return self.used_nanos / self.reserve_nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A tail, and whether the reserve carries it.

    Attributes:
        name: "10x traffic for 6 hours". rule: how the cost was worked out, one sentence.
        extra_nanos: what it costs above the usual, nano-USD; None where the ledger is too young to say.
        fits_whole: whether an untouched reserve carries it; fits_now: whether what is left of it does; None as above.
        lasts_ratio: how much of it what is left carries (1 is all of it).
    """

    name: str
    rule: str
    extra_nanos: int | None
    fits_whole: bool | None
    fits_now: bool | None
    lasts_ratio: float | None


def headroom(plan: Plan, spend: Spend, calendar: Calendar, month: Window, now: datetime, released_nanos: int = 0) -> Headroom:
    """How a month stands at an instant of it, or at its end.

    Args:
        released_nanos: what planned windows will still cost above the usual, where the reserve is free for them.
    """
    passed = Fraction(min(now, month.end).timestamp() - month.start.timestamp()) / Fraction(
        month.end.timestamp() - month.start.timestamp()
    )
    spent, pace = spend.of(month), int(plan.steady_nanos * passed)
    daily = _mean_day(spend, calendar)
    return Headroom(
        month=month, spent_nanos=spent, pace_nanos=pace, reserve_nanos=plan.headroom_nanos, used_nanos=max(spent - pace, 0),
        run_rate_nanos=None if daily is None else int(daily * len(month.days)), released_nanos=released_nanos,
    )  # fmt: skip


def scenarios(room: Headroom, spend: Spend, calendar: Calendar) -> list[Scenario]:
    """The three tails against the reserve."""
    days = whole_windows(spend, calendar, "day")[-LOOKBACK_DAYS:]
    weeks = whole_windows(spend, calendar, "week")[-_LOOKBACK_WEEKS:]
    peak = percentile(sorted(dearest_hours(spend, day, _PEAK_HOURS) for day in days), _BUSY)
    week = percentile(sorted(spend.of(one) for one in weeks), _BUSY)
    month = room.run_rate_nanos
    return [
        _scenario(
            "10x traffic for 6 hours", None if peak is None else 9 * peak, room,
            f"9 x the dearest 6 hours of a busy day (P75 of {len(days)} whole days)",
        ),
        _scenario(
            "3x usage for a week", None if week is None else 2 * week, room,
            f"2 x a busy week (P75 of {len(weeks)} whole weeks)",
        ),
        _scenario(
            "2x cost of every session for a month", month, room,
            f"1 x a month of {len(room.month.days)} days at the mean of {len(days)} whole days",
        ),
    ]  # fmt: skip


def _scenario(name: str, extra: int | None, room: Headroom, rule: str) -> Scenario:
    if extra is None:
        return Scenario(name=name, rule=rule, extra_nanos=None, fits_whole=None, fits_now=None, lasts_ratio=None)
    return Scenario(
        name=name, rule=rule, extra_nanos=extra, fits_whole=extra <= room.reserve_nanos, fits_now=extra <= room.left_nanos,
        lasts_ratio=min(room.left_nanos / extra, 1.0) if extra else 1.0,
    )  # fmt: skip


def _mean_day(spend: Spend, calendar: Calendar) -> Fraction | None:
    """Of all features together."""
    usual = usual_days(spend, calendar, spend.until)
    known = bool(whole_windows(spend, calendar, "day"))
    return sum(usual.values(), Fraction(0)) if known else None
