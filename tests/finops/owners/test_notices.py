"""Who hears of what: episodes, days, weeks, bursts and stops, each once, to exactly the people of their level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from runguard_core import events as ev
from runguard_core.anomalies import Change, Episode, Gravity, Kind, What
from runguard_core.attribution import Attribution
from runguard_core.finops import Calendar
from runguard_core.finops.owners import (
    Contact,
    Duty,
    Ladder,
    Notice,
    Planned,
    Registry,
    Rung,
    Step,
    Team,
    Urgency,
    acknowledged_event,
    cases,
    notices,
    resolved_event,
)
from runguard_core.finops.owners._episode_notices import episode_notices
from runguard_core.finops.owners._look import Look
from runguard_core.finops.owners._quarters import Payer, Quarter, concerned, gathered, share_of_week
from runguard_core.finops.owners._spend_notices import spend_notices
from runguard_core.finops.owners._trip_notices import kill_notices, trip_notices
from runguard_core.guard import anomaly_event
from runguard_core.ledger import Event
from runguard_core.stores import open_store
from runguard_core.testing import FEATURES, Incident, IncidentKind, make_traffic, write_traffic

USD = 10**9
MONDAY = datetime(2026, 10, 5, tzinfo=UTC)  # the fifth week is that of November 2
NOW = MONDAY + timedelta(weeks=5)
REGISTRY = Registry(
    default=Duty(owner="boss", team="shop"),
    features={"search": Duty(owner="ana", deputy="ben", runbook="https://example.com/search", team="discovery")},
    teams={
        "shop": Team(name="shop", lead="max", executive="cfo"),
        "discovery": Team(name="discovery", lead="lea", executive="eve"),
    },
)
EPISODE = Episode(
    id="an-1", kind=Kind.SESSION_SPIKE, gravity=Gravity.MAJOR, feature="search", agent="searcher", session="s-1",
    started_at=0.0, opened_at=0.0, seen_at=0.0, expected_nanos=USD, seen_nanos=6 * USD, impact_nanos=5 * USD,
)  # fmt: skip


def look(since: datetime = NOW - timedelta(weeks=1), now: datetime = NOW, **more: object) -> Look:
    """A look with the ladder's defaults."""
    values: dict[str, object] = {"registry": REGISTRY, "ladder": Ladder(), "calendar": Calendar()} | more
    return Look(app="shop", since=since, now=now, **values)  # type: ignore[arg-type]  # whatever the test says


def short(found: Iterable[Notice]) -> list[tuple[str, str, Step, int]]:
    """Who, why, what, which."""
    return [(one.to, one.level, one.step, one.number) for one in found]


# -- episodes -----------------------------------------------------------------------------------------------------


def watch(what: What, minutes: float, **more: object) -> Event:
    """What the watch announced, minutes after a Wednesday noon."""
    at = NOW - timedelta(days=4, hours=12) + timedelta(minutes=minutes)
    return anomaly_event(Change(what, replace(EPISODE, **more), at.timestamp()), "shop")  # type: ignore[arg-type]  # fields


def test_an_episode_is_told_once_then_worse_then_in_hand_then_over() -> None:
    """All to the same person under the same key; the cause is in the last one."""
    opened, worse = watch(What.OPENED, 0), watch(What.WORSE, 9, update_count=1, seen_nanos=20 * USD, impact_nanos=19 * USD)
    (case,) = cases([opened, worse])
    taken = acknowledged_event(case, "ana", "rolling back", worse.at + timedelta(minutes=1))
    done = resolved_event(case, "ana", "a tool that retries", worse.at + timedelta(minutes=30))
    closed = watch(What.CLOSED, 99, ended_at=NOW.timestamp(), outcome="the session is over", update_count=1)
    found = list(episode_notices([opened, worse, taken, done, closed], look()))
    assert short(found) == [
        ("ana", "owner", Step.TRIGGER, 0), ("ana", "owner", Step.TRIGGER, 1), ("ana", "owner", Step.ACKNOWLEDGE, 0),
        ("ana", "owner", Step.RESOLVE, 0),
    ]  # fmt: skip
    assert {one.about for one in found} == {"an-1"}
    assert found[0].title == "search: session s-1: $6.00, 6.0 times the usual $1.00"
    assert "Runbook: https://example.com/search" in found[0].text
    assert "runguard anomaly ack an-1 --by ana" in found[0].text
    assert "a tool that retries" in found[-1].title


def test_the_first_rung_begins_at_five_times_the_baseline() -> None:
    """Below nobody is called; where it gets there later, then; where it was so at its end, at its end."""
    mild = watch(What.OPENED, 0, seen_nanos=4 * USD)
    over = watch(What.CLOSED, 60, ended_at=NOW.timestamp(), outcome="over", seen_nanos=4 * USD)
    assert list(episode_notices([mild, over], look())) == []
    worse = watch(What.WORSE, 9, update_count=1)
    assert short(episode_notices([mild, worse], look())) == [("ana", "owner", Step.TRIGGER, 1)]
    late = watch(What.CLOSED, 60, ended_at=NOW.timestamp(), outcome="over", seen_nanos=8 * USD)
    assert [one.step for one in episode_notices([mild, late], look())] == [Step.TRIGGER, Step.RESOLVE]
    strict = Ladder(session=Rung(times=3, to=("lead", "cto@example.com")))
    assert short(episode_notices([mild], look(ladder=strict))) == [
        ("lea", "lead", Step.TRIGGER, 0), ("cto@example.com", "named", Step.TRIGGER, 0),
    ]  # fmt: skip
    off = Ladder(session=Rung(times=None, to=("owner",)))
    assert list(episode_notices([worse], look(ladder=off))) == []


def test_sessions_that_become_one_episode_of_the_feature_are_one_alert() -> None:
    """The first ones end as part of it; it says of how many it speaks."""
    joined = watch(What.CLOSED, 30, ended_at=NOW.timestamp(), outcome="part of it", joined="an-2")
    feature = watch(What.OPENED, 30, id="an-2", session="", session_count=3)
    found = list(episode_notices([watch(What.OPENED, 0), joined, feature], look()))
    assert [(one.about, one.step) for one in found] == [
        ("an-1", Step.TRIGGER), ("an-1", Step.RESOLVE), ("an-2", Step.TRIGGER),
    ]  # fmt: skip
    assert "3 sessions stand out; this one alert is of all of them." in found[-1].text


def test_who_was_told_hears_the_end_though_the_owner_is_back() -> None:
    """An episode that began in the owner's absence stays with the deputy."""
    away = Registry(
        features=REGISTRY.features, contacts={"ana": Contact(key="ana", away=((date(2026, 11, 4), date(2026, 11, 5)),))}
    )
    opened, closed = watch(What.OPENED, 0), watch(What.CLOSED, 24 * 60, ended_at=NOW.timestamp(), outcome="over")
    assert opened.at.date() == date(2026, 11, 4)
    assert [(one.to, one.level) for one in episode_notices([opened, closed], look(registry=away))] == [("ben", "deputy")] * 2


def test_an_episode_that_comes_back_after_its_resolution_is_told_and_ended_again() -> None:
    """With another number, so that each is delivered."""
    opened = watch(What.OPENED, 0)
    done = resolved_event(cases([opened])[0], "ana", "x", opened.at + timedelta(minutes=5))
    worse, closed = watch(What.WORSE, 9, update_count=1), watch(What.CLOSED, 99, ended_at=1.0, outcome="over", update_count=1)
    found = list(episode_notices([opened, done, worse, closed], look()))
    assert [(one.step, one.number) for one in found] == [
        (Step.TRIGGER, 0), (Step.RESOLVE, 0), (Step.TRIGGER, 1), (Step.RESOLVE, 1),
    ]  # fmt: skip
    assert len({one.id for one in found}) == 4


# -- days, weeks, bursts ------------------------------------------------------------------------------------------


SEARCHER = Payer("search", "discovery", None, "searcher")


def spend(usd_per_hour: float, days: int = 28, start: datetime = MONDAY) -> list[Quarter]:
    """The same every hour from 8 to 18."""
    return [
        Quarter(start + timedelta(days=day, hours=hour), SEARCHER, round(usd_per_hour * USD))
        for day in range(days)
        for hour in range(8, 18)
    ]


FIFTH = MONDAY + timedelta(weeks=4)
USUAL = spend(1)


def spoken(spent: Sequence[Quarter], **more: object) -> list[Notice]:
    """Notices of the fifth week."""
    whole = gathered(spent, Calendar())
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


# -- stops --------------------------------------------------------------------------------------------------------


def stop(kind: str, minutes: float, rule: str = "repeat", **facts: object) -> Event:
    """A stop of a run of the searcher, minutes after noon of the fifth week's Monday."""
    who = Attribution(app="shop", feature="search", agent="searcher", run=f"r{minutes}")
    return ev.event(kind, ev.STOP, "the same call 3 times", who, FIFTH + timedelta(hours=12, minutes=minutes), rule=rule, **facts)


def test_a_trip_is_told_to_the_owner_and_a_storm_of_them_once_more_each_tenfold() -> None:
    """Twelve stops of one rule: two notices under one key; another rule is another alert; at midnight both end."""
    storm = [stop(ev.RUN_TRIPPED, n, spent_nanos=str(USD)) for n in range(12)]
    budget = stop(ev.CALL_REFUSED, 5, budget="user-day", retry="never")
    passing = stop(ev.CALL_REFUSED, 6, budget="feature-day", retry="when pending calls settle")
    found = list(trip_notices([*storm, budget, passing], look()))
    assert {(one.to, one.level) for one in found} == {("ana", "owner")}
    assert [(one.step, one.facts["stop_count"]) for one in found if "repeat" in one.about] == [
        (Step.TRIGGER, 1), (Step.TRIGGER, 10), (Step.RESOLVE, 12),
    ]  # fmt: skip
    assert found[0].title == "search, searcher: stopped by rule repeat"
    assert "The run has spent $1.00." in found[0].text
    assert not any("feature-day" in one.about for one in found), "calls in flight were in the way: that is no stop"
    assert "budget user-day is used up" in next(one for one in found if "user-day" in one.about).title


def test_a_kill_is_told_until_it_is_reset() -> None:
    """The same key; the scope decides whose it is."""
    who = Attribution(app="shop", feature="shop")
    killed = ev.event(ev.KILLED, ev.STOP, "feature search was stopped: runaway", who, FIFTH, scope="feature:search", by="zoe")
    other = ev.event(ev.RESET, ev.NOTICE, "x", who, FIFTH + timedelta(minutes=1), scope="app")
    reset = ev.event(ev.RESET, ev.NOTICE, "feature search was reset", who, FIFTH + timedelta(hours=1), scope="feature:search")
    found = list(kill_notices([killed, other, reset], look()))
    assert short(found) == [("ana", "owner", Step.TRIGGER, 0), ("ana", "owner", Step.RESOLVE, 0)]
    assert "By zoe." in found[0].text
    until = FIFTH + timedelta(hours=2)
    ends = replace(killed, facts={**killed.facts, "after": {"until": until.isoformat()}})
    assert [(one.step, one.at) for one in kill_notices([ends], look())] == [(Step.TRIGGER, FIFTH), (Step.RESOLVE, until)]
    assert found[0].about == found[1].about


# -- all together -------------------------------------------------------------------------------------------------


def test_a_ledger_gives_the_same_notices_however_often_and_in_what_steps_it_is_asked() -> None:
    """A loop in code review: its owner hears of the session, its lead of the day; looks of half a day add up to one look."""
    start, store = datetime(2026, 9, 7, tzinfo=UTC), open_store("memory://")
    began = start + timedelta(days=38, hours=12)
    loop = Incident(kind=IncidentKind.TOOL_LOOP, feature="code-review", started_at=began, ended_at=began + timedelta(hours=1))
    write_traffic(store, make_traffic(start, 40, seed=5, features=[FEATURES[1]], incidents=[loop]).calls, "shop")
    spike = replace(EPISODE, id="an-9", feature="code-review", agent="reviewer", started_at=began.timestamp())
    store.announce([anomaly_event(Change(What.OPENED, spike, (began + timedelta(minutes=7)).timestamp()), "shop")])
    since, now = start + timedelta(days=37), start + timedelta(days=40)

    def asked(since: datetime, now: datetime) -> tuple[Notice, ...]:
        return notices(store, "shop", Registry(), Ladder(unowned="finops"), since=since, now=now, calendar=Calendar())

    whole = asked(since, now)
    steps = [asked(since + timedelta(hours=h), since + timedelta(hours=h + 12)) for h in range(0, 72, 12)]
    assert asked(since, now) == whole
    assert {one.id for one in whole} == {one.id for part in steps for one in part}
    told = {(one.to, one.level, one.about) for one in whole}
    assert ("ben@example.com", "owner", "an-9") in told, "the owner is whom the calls name"
    assert ("ben@example.com", "owner", f"day-code-review-{began:%Y-%m-%d}") in told, "who stands in for a lead"
    assert [one.at for one in whole] == sorted(one.at for one in whole)
    store.close()
