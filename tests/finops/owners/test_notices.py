"""A ledger's notices: what the watch finds in it, to the right people, the same however it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from runguard_core.anomalies import WatchRules, What, look_back
from runguard_core.finops import Calendar
from runguard_core.finops.owners import Ladder, Notice, Registry, Step, notices
from runguard_core.guard import anomaly_event
from runguard_core.ledger import CallFilter, Store
from runguard_core.stores import open_store
from runguard_core.testing import FEATURES, Incident, IncidentKind, make_traffic, write_traffic

START = datetime(2026, 9, 7, tzinfo=UTC)
BEGAN = START + timedelta(days=38, hours=12)
SINCE, NOW = START + timedelta(days=37), START + timedelta(days=40)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Forty days of code reviews and searches; two days before the end a loop in one, a burst in the other; the watch's events."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('notices') / 'l.db'}")
    incidents = [
        Incident(kind=kind, feature=feature, started_at=BEGAN, ended_at=BEGAN + timedelta(hours=hours))
        for kind, feature, hours in (
            (IncidentKind.TOOL_LOOP, "code-review", 1), (IncidentKind.TRAFFIC_BURST, "search", 6),
        )
    ]  # fmt: skip
    write_traffic(store, make_traffic(START, 40, seed=5, scale=0.6, features=FEATURES[1:3], incidents=incidents).calls, "shop")
    changes = look_back("shop", store.calls(CallFilter()), WatchRules(), until_seconds=NOW.timestamp())
    store.announce([anomaly_event(change, "shop") for change in changes if change.what is not What.JOINED])
    yield store
    store.close()


def asked(store: Store, since: datetime, now: datetime) -> tuple[Notice, ...]:
    """By a policy that names nobody: the owners are those that calls carry."""
    return notices(store, "shop", Registry(), Ladder(unowned="finops"), since=since, now=now, calendar=Calendar())


def test_incidents_reach_their_owners_once_each_and_nobody_else(ledger: Store) -> None:
    """Both at the same time; each hears of its own: the opening of its episode, what is markedly worse, the day."""
    begun = [
        one for one in asked(ledger, SINCE, NOW) if one.step is Step.TRIGGER and BEGAN <= one.at < BEGAN + timedelta(hours=8)
    ]
    assert {(one.feature, one.to, one.level) for one in begun} == {
        ("code-review", "ben@example.com", "owner"), ("search", "cleo@example.com", "owner"),
    }  # fmt: skip
    for feature in ("code-review", "search"):
        first = [one.about for one in begun if one.feature == feature and one.about.startswith("an-") and one.number == 0]
        assert len(first) == len(set(first)) == 1, [one.title for one in begun]
    assert f"day-code-review-{BEGAN:%Y-%m-%d}" in {one.about for one in begun}
    assert next(one for one in begun if one.feature == "code-review").at < BEGAN + timedelta(minutes=15)


def test_a_ledger_says_the_same_however_often_and_in_what_steps_it_is_asked(ledger: Store) -> None:
    """Looks of half a day add up to one look; what was posted late is found by the next look."""
    whole = asked(ledger, SINCE, NOW)
    steps = [asked(ledger, SINCE + timedelta(hours=h), SINCE + timedelta(hours=h + 12)) for h in range(0, 72, 12)]
    assert asked(ledger, SINCE, NOW) == whole
    assert {one.id for one in whole} == {one.id for part in steps for one in part}
    assert [one.at for one in whole] == sorted(one.at for one in whole)
    first = next(one for one in whole if one.about.startswith("an-") and one.at >= BEGAN)
    assert first.id in {one.id for one in asked(ledger, first.at + timedelta(minutes=40), NOW)}
