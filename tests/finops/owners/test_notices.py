"""A ledger's notices: the same however it is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from runguard_core.anomalies import Change, What
from runguard_core.finops import Calendar
from runguard_core.finops.owners import (
    Ladder,
    Notice,
    Registry,
    notices,
)
from runguard_core.guard import anomaly_event
from runguard_core.stores import open_store
from runguard_core.testing import FEATURES, Incident, IncidentKind, make_traffic, write_traffic
from tests.finops.owners.noticing import EPISODE


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
    late = asked(began + timedelta(minutes=40), now)
    assert "an-9" in {one.about for one in late}, "what was posted late is found by the next look"
    told = {(one.to, one.level, one.about) for one in whole}
    assert ("ben@example.com", "owner", "an-9") in told, "the owner is whom the calls name"
    assert ("ben@example.com", "owner", f"day-code-review-{began:%Y-%m-%d}") in told, "who stands in for a lead"
    assert [one.at for one in whole] == sorted(one.at for one in whole)
    store.close()
