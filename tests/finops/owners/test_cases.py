"""A case is folded from events: what the watch announced and what people did with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from runguard_core.anomalies import Change, Episode, Gravity, Kind, What
from runguard_core.errors import PolicyError
from runguard_core.finops.owners import Case, CaseState, acknowledged_event, case_json, cases, resolved_event
from runguard_core.guard import anomaly_event, label_event
from runguard_core.ledger import Event
from runguard_core.stores import open_store

BEGAN = datetime(2026, 11, 2, 9, tzinfo=UTC)
EPISODE = Episode(
    id="an-1", kind=Kind.SESSION_SPIKE, gravity=Gravity.MAJOR, feature="search", agent="planner", session="s-1",
    started_at=BEGAN.timestamp(), opened_at=BEGAN.timestamp() + 120, seen_at=BEGAN.timestamp() + 120, expected_nanos=10**9,
    seen_nanos=6 * 10**9, impact_nanos=5 * 10**9,
)  # fmt: skip


def watch(what: What, minutes: float, **more: object) -> Event:
    """What the watch announced, minutes after the episode began."""
    return anomaly_event(Change(what, replace(EPISODE, **more), (BEGAN + timedelta(minutes=minutes)).timestamp()), "shop")


OPENED = watch(What.OPENED, 2)
CLOSED = watch(What.CLOSED, 60, ended_at=BEGAN.timestamp() + 1800, outcome="the session is over")
OPEN_CASE: Case = cases([OPENED])[0]


def at(minutes: float) -> datetime:
    """Minutes after the episode began."""
    return BEGAN + timedelta(minutes=minutes)


def test_the_times_to_detect_acknowledge_and_resolve_are_measured() -> None:
    """Detection from the first sign, the rest from the announcement; whatever the order in which events arrive."""
    taken = acknowledged_event(OPEN_CASE, "ana", "rolling back", at(7))
    done = resolved_event(OPEN_CASE, "ben", "tool retried on an empty result", at(47))
    found = {cases(order) for order in permutations([OPENED, taken, CLOSED, done])}
    assert len(found) == 1
    (case,) = found.pop()
    assert (case.state, case.acknowledged_by, case.note, case.resolved_by, case.cause) == (
        CaseState.RESOLVED, "ana", "rolling back", "ben", "tool retried on an empty result",
    )  # fmt: skip
    assert (case.detect_seconds, case.acknowledge_seconds, case.resolve_seconds) == (120, 300, 2700)
    assert case_json(case)["impact_nanos"] == "5000000000"


def test_what_nobody_touched_is_open_and_then_closed_by_itself() -> None:
    """It has no cause."""
    assert OPEN_CASE.state is CaseState.OPEN
    (case,) = cases([OPENED, CLOSED])
    assert (case.state, case.cause, case.acknowledge_seconds, case.resolve_seconds) == (CaseState.CLOSED, "", None, None)


def test_a_resolved_case_that_gets_worse_is_open_again_and_can_be_resolved_again() -> None:
    """The second resolution is another event; who has it in hand stays so."""
    taken = acknowledged_event(OPEN_CASE, "ana", "", at(5))
    first = resolved_event(OPEN_CASE, "ana", "a flaky tool", at(10))
    events = [OPENED, taken, first, watch(What.WORSE, 15, update_count=1)]
    (again,) = cases(events)
    assert (again.state, again.reopened_count, again.cause) == (CaseState.ACKNOWLEDGED, 1, "")
    second = resolved_event(again, "ana", "the prompt", at(20))
    assert second.id != first.id
    assert cases([*events, second])[0].cause == "the prompt"


def test_an_act_is_claimed_by_whoever_is_first() -> None:
    """Two people who act on the same state write the same id: the ledger keeps one."""
    store = open_store("memory://")
    store.announce([OPENED])
    assert store.announce([resolved_event(OPEN_CASE, "ana", "x", at(9))]) == 1
    assert store.announce([resolved_event(OPEN_CASE, "ben", "y", at(9))]) == 0
    assert [case.resolved_by for case in cases(store.events())] == ["ana"]
    store.close()


def test_acts_that_make_no_sense_are_refused_with_a_reason() -> None:
    """Twice, after the end, without a cause."""
    (taken,) = cases([OPENED, acknowledged_event(OPEN_CASE, "ana", "", at(5))])
    (done,) = cases([OPENED, resolved_event(OPEN_CASE, "ben", "a flaky tool", at(9))])
    with pytest.raises(PolicyError, match="ana has acknowledged an-1 on 2026-11-02 09:05 UTC"):
        acknowledged_event(taken, "ben", "", at(6))
    with pytest.raises(PolicyError, match="an-1 is resolved, said ben: a flaky tool"):
        acknowledged_event(done, "ana", "", at(10))
    with pytest.raises(PolicyError, match="resolved already, said ben: a flaky tool"):
        resolved_event(done, "ana", "x", at(10))
    with pytest.raises(PolicyError, match="say what caused it"):
        resolved_event(OPEN_CASE, "ana", " ", at(10))


def test_a_judgement_counts_as_a_resolution_and_a_cause_may_follow() -> None:
    """Planned spend needs nobody; its reason is its cause until somebody names another."""
    label = label_event(EPISODE, "planned", "ana", "launch week", "shop", at(30))
    (case,) = cases([OPENED, label])
    assert (case.state, case.cause, case.resolved_by) == (CaseState.RESOLVED, "planned: launch week", "ana")
    (named,) = cases([OPENED, label, resolved_event(case, "ben", "the launch", at(40))])
    assert (named.cause, named.resolve_seconds) == ("the launch", 2280)


def test_a_session_that_became_part_of_its_features_episode_is_no_case_of_its_own() -> None:
    """The feature speaks for it."""
    assert cases([OPENED, watch(What.CLOSED, 9, ended_at=BEGAN.timestamp() + 300, outcome="part of it", joined="an-2")]) == ()
