"""Who hears of a dear day, a week that leads to too much, half an hour above a usual week."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from runguard_core.finops import Calendar
from runguard_core.finops.owners import (
    Ladder,
    Notice,
    Planned,
    Step,
    Urgency,
)
from runguard_core.finops.owners._quarters import Payer, Quarter, Spend, concerned, in_time, share_of_week
from runguard_core.finops.owners._spend_notices import spend_notices
from tests.finops.owners.noticing import FIFTH, MONDAY, NOW, USD, look, short

SEARCHER = Payer("search", "discovery", None, "searcher")


def spend(usd_per_hour: float, days: int = 28, start: datetime = MONDAY) -> list[Quarter]:
    """The same every hour from 8 to 18."""
    return [
        Quarter(start + timedelta(days=day, hours=hour), SEARCHER, round(usd_per_hour * USD))
        for day in range(days)
        for hour in range(8, 18)
    ]


USUAL = spend(1)


def gathered(spent: Sequence[Quarter]) -> Spend:
    """What a ledger with nothing else says."""
    days: dict[date, dict[Payer, int]] = defaultdict(lambda: defaultdict(int))
    pace: dict[datetime, int] = defaultdict(int)
    for one in spent:
        days[Calendar().date_of(one.at)][one.payer] += one.nanos
        pace[one.at] += one.nanos
    return Spend(days=days, pace=pace, recent=in_time(spent))


def spoken(spent: Sequence[Quarter], **more: object) -> list[Notice]:
    """Notices of the fifth week."""
    whole = gathered(spent)
    return list(spend_notices(whole, look(known=concerned(whole), **more)))


def test_a_features_day_of_three_times_the_usual_goes_to_the_lead_when_it_gets_there() -> None:
    """$10 is usual: at $30 the lead is told, at midnight that it is over; $29 is nothing."""
    found = spoken([*USUAL, *spend(3.5, days=1, start=FIFTH)])
    assert short(found) == [("lea", "lead", Step.TRIGGER, 0), ("lea", "lead", Step.RESOLVE, 0)]
    assert [one.at for one in found] == [FIFTH + timedelta(hours=16), FIFTH + timedelta(days=1)]
    assert found[0].title == "search: 2026-11-02 has cost $31.50 so far, 3.1 times a usual day"
    assert found[0].urgency is Urgency.ERROR
    assert spoken([*USUAL, *spend(2.9, days=1, start=FIFTH)]) == []


def test_a_planned_day_is_judged_by_its_factor() -> None:
    """Twice planned: six times the usual day is needed."""
    calendar = Calendar()
    window = calendar.window("launch", date(2026, 11, 2), date(2026, 11, 3))
    planned = (Planned(feature="search", window=window, factor=2, reason="launch"),)
    busy = [*USUAL, *spend(3.5, days=1, start=FIFTH)]
    assert spoken(busy, planned=planned) == []
    assert spoken(busy, planned=(replace(planned[0], feature="chat"),)) != []
    assert len(spoken([*USUAL, *spend(6, days=1, start=FIFTH)], planned=planned)) == 2


def test_a_feature_without_two_weeks_of_history_has_no_usual_day() -> None:
    """A launch is no anomaly; what it may cost is a budget's business."""
    young = spend(1, days=13, start=FIFTH - timedelta(days=13))
    assert spoken([*young, *spend(9, days=1, start=FIFTH)]) == []


def test_the_week_that_tracks_to_twice_its_budget_goes_to_the_executive() -> None:
    """Projected by what share of a usual week is over, as soon as a tenth of one is; without a budget nothing is said."""
    ladder = Ladder(week_budget_nanos=70 * USD)
    found = spoken([*USUAL, *spend(2.5, days=3, start=FIFTH)], ladder=ladder)
    weeks = [one for one in found if one.about.startswith("week")]
    assert short(weeks) == [("cfo", "executive", Step.TRIGGER, 0), ("cfo", "executive", Step.RESOLVE, 0)]
    assert weeks[0].urgency is Urgency.CRITICAL
    assert weeks[0].facts["projected_nanos"] == str(175 * USD)
    assert "10% of a week is over by the pace of 4 weeks before" in weeks[0].text
    assert weeks[1].at == NOW
    assert [one for one in spoken([*USUAL, *spend(1.9, days=7, start=FIFTH)], ladder=ladder) if "week" in one.about] == []
    assert [one for one in spoken([*USUAL, *spend(2.5, days=3, start=FIFTH)]) if "week" in one.about] == [], "no budget"


def test_the_share_of_a_week_is_by_weeks_before_else_by_time() -> None:
    """Also in a week in which clocks change."""
    calendar = Calendar(zone=ZoneInfo("Europe/Berlin"))
    week = calendar.week(date(2026, 10, 19))  # ends with an hour more
    past = [calendar.before(week, "week", number) for number in (1, 2)]
    front = [(one, {one.start: 3 * USD, one.start + timedelta(days=5): USD}) for one in past]
    assert share_of_week(week, timedelta(days=1), front) == (0.75, 2)
    assert share_of_week(week, timedelta(days=1), front[:1]) == (24 / 169, 0)
    assert share_of_week(week, week.end - week.start, front) == (1.0, 2)


def test_half_an_hour_above_a_usual_week_of_the_team_is_critical() -> None:
    """$70 is a usual week; $75 in two quarters of an hour, over midnight too."""
    late = FIFTH + timedelta(hours=23, minutes=45)
    burst = [Quarter(late + timedelta(minutes=15 * n), SEARCHER, 40 * USD) for n in (0, 1)]
    found = [one for one in spoken([*USUAL, *burst]) if one.about.startswith("burst")]
    assert short(one for one in found if one.step is Step.TRIGGER) == [
        ("ana", "owner", Step.TRIGGER, 0), ("lea", "lead", Step.TRIGGER, 0),
    ]  # fmt: skip
    assert {one.urgency for one in found} == {Urgency.CRITICAL}
    assert found[0].title == "searcher has spent $80.00 in 30 minutes, more than a usual week of discovery ($70.00)"
    slow = [one._replace(nanos=34 * USD) for one in burst]
    assert [one for one in spoken([*USUAL, *slow]) if one.about.startswith("burst")] == []
