"""Who hears of stops and kills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.finops.owners import (
    Step,
)
from runguard_core.finops.owners._trip_notices import kill_notices, trip_notices
from runguard_core.ledger import Event
from tests.finops.owners.noticing import FIFTH, USD, look, short


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
