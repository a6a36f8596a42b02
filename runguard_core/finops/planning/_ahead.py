"""What planned windows (a launch, a sale) will still cost above the usual."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction

from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops.owners import Planned
from runguard_core.finops.planning._spend import Spend, whole_windows

#: Whole days looked back at; four weeks hold each weekday equally often.
LOOKBACK_DAYS = 28


def extra_ahead(planned: Iterable[Planned], spend: Spend, calendar: Calendar, now: datetime, until: datetime) -> dict[str, int]:
    """Nano-USD above the usual by feature, of the parts of planned windows that lie between two instants.

    The usual is the feature's mean day of the last 28 whole days before now and before the window.
    """
    found: dict[str, int] = {}
    for one in planned:
        overlap = min(one.window.end, until) - max(one.window.start, now)
        usual = usual_days(spend, calendar, min(now, one.window.start))
        if overlap <= timedelta():
            continue
        days = Fraction(overlap // timedelta(seconds=1), 86_400)
        for feature, nanos in usual.items():
            if one.concerns(feature):
                extra = nanos * days * (Fraction(str(one.factor)) - 1)
                found[feature] = found.get(feature, 0) + int(extra)
    return found


def usual_days(spend: Spend, calendar: Calendar, before: datetime) -> dict[str, Fraction]:
    """The mean day of each feature over the last 28 whole days that end by an instant; empty where there is none."""
    days = [day for day in whole_windows(spend, calendar, "day") if day.end <= before][-LOOKBACK_DAYS:]
    if not days:
        return {}
    span = Window("", days[0].start, days[-1].end, days[0].first_day, days[-1].end_day)
    return {feature: Fraction(nanos, len(days)) for feature, nanos in spend.by_feature(span).items()}
