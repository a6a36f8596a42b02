"""The claim that such a practice lowers spend by 20 to 40 % within three months, measured: cost per session now and at first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops.actions._measuring import costs_of
from runguard_core.finops.actions._saving import Saving, saving_of
from runguard_core.finops.actions._spans import Spans
from runguard_core.ledger import CallFilter, Store

#: Whole weeks on each side.
CLAIM_WEEKS = 4
#: What is claimed, as shares of the cost.
CLAIMED_RATIOS = (0.2, 0.4)
#: Within so many days.
_CLAIMED_DAYS = 92


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Cost per session of the latest whole weeks against the first ones, feature by feature.

    Attributes:
        saving: of the latest weeks; its strata have both sides.
        first_nanos, latest_nanos: everything that was spent in either, traffic included.
        apart_days: from the first day of the first weeks to the last of the latest.
    """

    saving: Saving
    first_nanos: int = 0
    latest_nanos: int = 0
    apart_days: int = 0

    @property
    def verdict(self) -> str:
        """One sentence."""
        ratio, low, high = self.saving.saved_ratio, self.saving.low_nanos, self.saving.high_nanos
        if ratio is None:
            return f"not measured: {self.saving.why_not}"
        within = "within" if self.apart_days <= _CLAIMED_DAYS else f"in {self.apart_days} days, more than"
        is_chance = low is None or high is None or low <= 0 <= high
        chance = ", which may be chance: the interval holds zero" if is_chance else ""
        if ratio <= 0:
            return f"not so: cost per session rose by {-ratio:.0%}{chance}"
        what = f"cost per session fell by {ratio:.0%} {within} three months"
        if is_chance:
            return f"{what}{chance}"
        if ratio < CLAIMED_RATIOS[0]:
            return f"{what}: less than the claimed 20 to 40 %"
        return f"{what}: {'as claimed' if ratio <= CLAIMED_RATIOS[1] else 'more than claimed'} (20 to 40 %)"


def claim(store: Store, app: str | None, now: datetime, calendar: Calendar, weeks: int = CLAIM_WEEKS) -> Claim:
    """Compare the latest whole weeks before an instant with the first whole weeks in which there was spend."""
    latest = calendar.before(calendar.week(now), "week", weeks), calendar.before(calendar.week(now), "week")
    first = _first_week(store, app, calendar)
    stop = latest[0] if first is None else calendar.week(first.first_day + timedelta(weeks=weeks))
    if first is None or stop.start > latest[0].start:
        end = latest[1].end
        return Claim(saving=saving_of(Spans(end, end, end, end, why_not=f"fewer than {2 * weeks} whole weeks of spend"), {}, {}))
    before = costs_of(store, app, None, None, first.start, stop.start)
    after = costs_of(store, app, None, None, latest[0].start, latest[1].end)
    saving = saving_of(Spans(first.start, stop.start, latest[0].start, latest[1].end), before, after)
    apart = (latest[1].end_day - first.first_day).days
    return Claim(saving=saving, first_nanos=sum(before.values()), latest_nanos=sum(after.values()), apart_days=apart)


def _first_week(store: Store, app: str | None, calendar: Calendar) -> Window | None:
    """The first whole week with spend: the week of the first call, or the next one where that begins after Monday."""
    quarters = [key[0] for key, total in store.totals(("quarter_hour",), CallFilter(app=app)).items() if total.cost_nanos]
    if not quarters:
        return None
    first = datetime.fromisoformat(min(text for text in quarters if text is not None))
    week = calendar.week(first)
    is_whole = calendar.date_of(first) == week.first_day
    return week if is_whole else calendar.week(week.end_day)
