"""Who hears of an episode: once, again when worse, in hand, over; by exactly the people of its level."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from runguard_core.anomalies import Change, What
from runguard_core.finops.owners import (
    Contact,
    Ladder,
    Registry,
    Rung,
    Step,
    acknowledged_event,
    cases,
    resolved_event,
)
from runguard_core.finops.owners._episode_notices import episode_notices
from runguard_core.guard import anomaly_event
from runguard_core.ledger import Event
from tests.finops.owners.noticing import EPISODE, NOW, REGISTRY, USD, look, short


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
