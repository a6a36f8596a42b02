"""Notices of spend as such: a feature's day, the app's week, an agent's half-hour. When each was passed is read from the spend,
so that a second look says the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runguard_core.anomalies import planned_factor
from runguard_core.finops._calendar import Window
from runguard_core.finops.owners._ladder import Rung
from runguard_core.finops.owners._look import Look, cents
from runguard_core.finops.owners._notice import Notice, Step, Urgency
from runguard_core.finops.owners._planned import spend_of
from runguard_core.finops.owners._quarters import QUARTER, USUAL_WEEKS, Quarter, Spend, median, share_of_week, usual_day
from runguard_core.finops.owners._recipients import Concerned, duty_of

#: Of a usual week so much has to be over before a projection is worth telling.
_LEAST_SHARE = 0.1
_MIN_WEEKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passed:
    """A limit that was passed: what, when, when its window is over, and what is said then."""

    key: str
    at: datetime
    ends_at: datetime
    about: Concerned
    rung: Rung
    urgency: Urgency
    title: str
    ending: str
    text: str
    facts: Mapping[str, str]


def spend_notices(spend: Spend, look: Look) -> Iterator[Notice]:
    """Days, weeks and bursts: told when the limit was passed, resolved when the day or the week is over.

    Args:
        spend: its days and its pace from four whole weeks before the week of `look.since` on, its recent quarters from the
            beginning of the day before `look.since` on.
    """
    for passed in (*_days(spend, look), *_weeks(spend, look), *_bursts(spend, look)):
        for one in look.told(passed.rung, passed.about, passed.at):
            for step, at, title in (
                (Step.TRIGGER, passed.at, passed.title),
                (Step.RESOLVE, passed.ends_at, passed.ending),
            ):
                if look.wants(at):
                    yield look.notice(
                        one, passed.about, key=passed.key, step=step, urgency=passed.urgency, at=at, title=title,
                        text=passed.text, facts=passed.facts,
                    )  # fmt: skip


def _windows(look: Look, kind: str) -> Iterator[Window]:
    """Those that a notice may be about, the one before `since` included: it may end now."""
    window = look.calendar.before(look.calendar.of_kind(kind, look.since), kind)
    while window.start <= look.now:
        yield window
        window = look.calendar.of_kind(kind, window.end_day)


# -- a feature's day ----------------------------------------------------------------------------------------------


def _days(spend: Spend, look: Look) -> Iterator[_Passed]:
    if look.ladder.feature_day.times is None:
        return
    windows = list(_windows(look, "day"))
    for feature in spend.features():
        days = spend.of_feature(feature)
        its = [one for one in spend.recent if one.payer.feature == feature]
        for window in windows:
            usual = usual_day(days, window.first_day, look.ladder.min_history_days) if days.get(window.first_day) else None
            if usual is not None and (found := _day(feature, its, window, usual, look)) is not None:
                yield found


def _day(feature: str, its: Iterable[Quarter], window: Window, usual: int, look: Look) -> _Passed | None:
    rung = look.ladder.feature_day
    expected = round(usual * planned_factor(spend_of(look.planned), feature, window.start.timestamp()))
    limit = max(round(expected * (rung.times or 0)), expected + look.ladder.min_impact_nanos)
    inside, seen = [one for one in its if window.covers(one.at)], 0
    for one in inside:
        seen += one.nanos
        if seen >= limit:
            whole = sum(other.nanos for other in inside)
            title = f"{feature}: {window.name} has cost {cents(seen)} so far, {seen / expected:.1f} times a usual day"
            text = f"A whole day like this usually costs {cents(expected)}, by the median of {USUAL_WEEKS} weeks."
            return _Passed(
                key=f"day-{feature}-{window.name}", at=one.at, ends_at=window.end, about=look.about(feature), rung=rung,
                urgency=Urgency.ERROR, title=title, text=text,
                ending=f"{feature}: {window.name} is over, {cents(whole)} in all",
                facts={"seen_nanos": str(seen), "expected_nanos": str(expected), "ratio": f"{seen / expected:.2f}"},
            )  # fmt: skip
    return None


# -- the app's week -----------------------------------------------------------------------------------------------


def _weeks(spend: Spend, look: Look) -> Iterator[_Passed]:
    budget, rung = look.ladder.week_budget_nanos, look.ladder.product_week
    if not budget or rung.times is None:
        return
    for week in _windows(look, "week"):
        windows = [week, *(look.calendar.before(week, "week", number) for number in range(1, USUAL_WEEKS + 1))]
        sums, *past = [(one, {at: nanos for at, nanos in spend.pace.items() if one.covers(at)}) for one in windows]
        found = _week(week, sums[1], past, budget, rung.times, look)
        if found is not None:
            yield found


def _week(
    week: Window, sums: Mapping[datetime, int], past: Sequence[tuple[Window, Mapping[datetime, int]]], budget: int,
    times: float, look: Look,
) -> _Passed | None:  # fmt: skip
    """The first quarter of an hour at whose end the pace leads to too much."""
    at, seen = week.start, 0
    while at + QUARTER <= min(look.now, week.end):
        seen += sums.get(at, 0)
        at += QUARTER
        if seen * (1 / _LEAST_SHARE) < times * budget:  # by no projection that is allowed is it too much
            continue
        share, week_count = share_of_week(week, at - week.start, past)
        projected = round(seen / share) if share >= _LEAST_SHARE else seen
        if projected >= times * budget:
            how = f"the pace of {week_count} weeks before" if week_count else "an even pace: there are no weeks to compare with"
            title = f"{look.app}: {week.name} is tracking to {cents(projected)}, {projected / budget:.1f} times its budget"
            text = f"{cents(seen)} is spent and {share:.0%} of a week is over by {how}. The week's budget is {cents(budget)}."
            return _Passed(
                key=f"week-{look.app}-{week.name}", at=at, ends_at=week.end, about=Concerned(), rung=look.ladder.product_week,
                urgency=Urgency.CRITICAL, title=title, text=text,
                ending=f"{look.app}: {week.name} is over, {cents(sum(sums.values()))} of a budget of {cents(budget)}",
                facts={"seen_nanos": str(seen), "projected_nanos": str(projected), "budget_nanos": str(budget),
                       "share_ratio": f"{share:.4f}", "ratio": f"{projected / budget:.2f}"},
            )  # fmt: skip
    return None


# -- an agent's half-hour -----------------------------------------------------------------------------------------


def _bursts(spend: Spend, look: Look) -> Iterator[_Passed]:
    if look.ladder.burst.times is None:
        return
    weeks = _team_weeks(spend, look)
    agents: dict[tuple[str, str | None], dict[datetime, int]] = defaultdict(lambda: defaultdict(int))
    for one in spend.recent:
        agents[one.payer.feature, one.payer.agent][one.at] += one.nanos
    windows = list(_windows(look, "day"))
    for (feature, agent), sums in sorted(agents.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        for window in windows:
            found = _burst(look.about(feature, agent), sums, window, weeks, look)
            if found is not None:
                yield found


def _team_of(about: Concerned, look: Look) -> str:
    return duty_of(look.registry, about).team or ""


def _team_weeks(spend: Spend, look: Look) -> Mapping[tuple[str, str], int]:
    """What each team spent in each week, by its name and the week's; those without one are one."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for day, its in spend.days.items():
        week = look.calendar.week(day).name
        for payer, nanos in its.items():
            sums[_team_of(look.about(payer.feature, payer.agent), look), week] += nanos
    return sums


def _burst(
    about: Concerned, sums: Mapping[datetime, int], window: Window, weeks: Mapping[tuple[str, str], int], look: Look
) -> _Passed | None:
    team, week = _team_of(about, look), look.calendar.week(window.first_day)
    before = [look.calendar.before(week, "week", number) for number in range(1, USUAL_WEEKS + 1)]
    known = [nanos for one in before if (nanos := weeks.get((team, one.name), 0))]
    usual, rung = median(known), look.ladder.burst
    if len(known) < _MIN_WEEKS:
        return None
    factor = planned_factor(spend_of(look.planned), about.feature or look.app, window.start.timestamp())
    limit = max(round(usual * factor * (rung.times or 0)), look.ladder.min_impact_nanos)
    for at in sorted(one for one in sums if window.covers(one)):
        seen = sums.get(at - QUARTER, 0) + sums[at]
        if seen > limit:
            name = about.agent or about.feature
            whose = f"a usual week of {team}" if team else "a usual week"
            title = f"{name} has spent {cents(seen)} in 30 minutes, more than {whose} ({cents(usual)})"
            text = f"From {at - QUARTER:%H:%M} UTC on. A usual week is the median of the {USUAL_WEEKS} before."
            return _Passed(
                key=f"burst-{about.feature}-{about.agent or ''}-{window.name}", at=at, ends_at=window.end, about=about, rung=rung,
                urgency=Urgency.CRITICAL, title=title, text=text, ending=f"{name}: {window.name} is over",
                facts={"seen_nanos": str(seen), "expected_nanos": str(usual), "ratio": f"{seen / usual:.2f}"},
            )  # fmt: skip
    return None
