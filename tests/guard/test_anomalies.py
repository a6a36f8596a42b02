"""Spend that stands out, in a guard: announced once, also after a restart and by two processes; stops what the policy says."""

from __future__ import annotations

import multiprocessing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runguard_core import CallFilter, Event, Guard, StoppedError, Usage, open_store
from runguard_core import events as ev
from runguard_core.anomalies import Change, Episode, Gravity, Kind, WatchRules, What
from runguard_core.budgets import Mode
from runguard_core.errors import StoreUnavailableError
from runguard_core.guard import AnomalyRules, filed_episodes, label_event
from runguard_core.guard._anomaly_tripping import trip_for, trips
from runguard_core.stores import MemoryStore

from .clock import FakeClock
from .spending import CENT

HISTORY = 40


def converse(guard: Guard, clock: FakeClock, session: str, cents: int, turns: int = 3) -> int:
    """One session of equal turns; how many passed."""
    passed = 0
    with guard.session(session, agent="helper", feature="chat"):
        for _ in range(turns):
            try:
                with guard.model_call("cent", max_output_tokens=cents) as call:
                    call.post(Usage(output_tokens=cents))
            except StoppedError:
                return passed
            passed += 1
            clock.advance(seconds=20)
            guard.flush()
    return passed


def remember(guard: Guard, clock: FakeClock, count: int = HISTORY) -> None:
    """Finished sessions of three cents; the clock goes on a step a session, as it does between conversations."""
    for number in range(count):
        with guard.session(f"past-{number}", agent="helper", feature="chat"):
            for _ in range(3):
                with guard.model_call("cent", max_output_tokens=1) as call:
                    call.post(Usage(output_tokens=1))
                    clock.advance(seconds=20)
    for _ in range(40):  # more than an hour, in steps that are no jump of the clock
        clock.advance(seconds=120)
        guard.store.expire(clock.now())
        guard._engine.clock.now()
    guard.flush()


def said(source: Any) -> list[tuple[str, str | None]]:
    """What was announced about anomalies: kind and session."""
    return [(event.kind, event.session) for event in source.store.events() if event.kind.startswith("anomaly")]


@pytest.fixture
def clock() -> FakeClock:
    """A clock of the test's own."""
    return FakeClock()


def test_a_session_that_stands_out_is_announced_once_and_closed(make_guard: Any, clock: FakeClock) -> None:
    """With everything needed to explain it; listeners hear it too."""
    heard: list[Event] = []
    guard = make_guard(prices=CENT, clock=clock, listeners=[heard.append])
    remember(guard, clock)
    converse(guard, clock, "dear", cents=100, turns=4)
    assert said(guard) == [(ev.ANOMALY_OPENED, "dear")]
    event = next(event for event in guard.store.events() if event.kind == ev.ANOMALY_OPENED)
    assert event.facts["kind"] in {"session_spike", "mid_session"}
    assert (event.feature, event.agent, event.facts["severity"]) == ("chat", "helper", "critical")
    assert int(event.facts["seen_nanos"]) >= 10**9
    assert int(event.facts["impact_nanos"]) == int(event.facts["seen_nanos"]) - int(event.facts["expected_nanos"])
    assert "session dear" in event.message
    for _ in range(40):
        clock.advance(seconds=120)
        guard._engine.clock.now()
    assert guard.flush()
    assert said(guard)[-1] == (ev.ANOMALY_CLOSED, "dear")
    assert [one.kind for one in heard if one.kind.startswith("anomaly")] == [kind for kind, _ in said(guard)]


def test_by_default_nothing_is_stopped(make_guard: Any, clock: FakeClock) -> None:
    """An anomaly is said, not enforced."""
    guard = make_guard(prices=CENT, clock=clock)
    remember(guard, clock)
    assert converse(guard, clock, "dear", cents=500, turns=6) == 6
    assert guard.store.latches() == {}


@pytest.mark.parametrize(
    ("mode", "passed", "event"), [(None, 1, ev.RUN_TRIPPED), (Mode.OBSERVE, 6, ev.WOULD_TRIP)], ids=["enforce", "observe"]
)
def test_the_policy_may_stop_the_run_of_a_session(make_guard: Any, clock: FakeClock, mode: Any, passed: int, event: str) -> None:
    """Its next call is refused; other sessions go on."""
    rules = AnomalyRules(mode=mode, trip=Gravity.MAJOR)
    guard = make_guard(prices=CENT, clock=clock, anomalies=rules)
    remember(guard, clock)
    assert converse(guard, clock, "dear", cents=500, turns=6) == passed
    assert [one.facts["rule"] for one in guard.store.events() if one.kind == event] == ["anomaly"]
    assert {latch.scope_kind for latch in guard.store.latches().values()} <= {"run", "session"}
    assert converse(guard, clock, "other", cents=1) == 3


def test_a_guard_reopened_on_the_ledger_does_not_announce_twice(tmp_path: Path, clock: FakeClock) -> None:
    """It goes on with the episode under its id, and closes it."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    with Guard(app="a", store=url, prices=CENT, clock=clock) as guard:
        remember(guard, clock)
        converse(guard, clock, "dear", cents=100, turns=4)
        assert said(guard) == [(ev.ANOMALY_OPENED, "dear")]
    with Guard(app="a", store=url, prices=CENT, clock=clock) as guard:
        converse(guard, clock, "dear", cents=100, turns=1)
        assert said(guard) == [(ev.ANOMALY_OPENED, "dear")]
        for _ in range(40):
            clock.advance(seconds=120)
            guard._engine.clock.now()
        guard.flush()
        assert said(guard) == [(ev.ANOMALY_OPENED, "dear"), (ev.ANOMALY_CLOSED, "dear")]
        filed = filed_episodes(guard.store.events())
        assert [one.state for one in filed.values()] == ["closed"]
        assert next(iter(filed.values())).episode.seen_nanos == 5 * 10**9


def test_a_host_whose_clock_is_a_year_ahead_blinds_nobody(tmp_path: Path, clock: FakeClock) -> None:
    """One call of it is in the ledger; what comes after would lie a year back, where nothing is looked for."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    with Guard(app="a", store=url, prices=CENT, clock=FakeClock(clock.now() + timedelta(days=365))) as guard:
        converse(guard, FakeClock(), "early", cents=1, turns=1)
    with Guard(app="a", store=url, prices=CENT, clock=clock) as guard:
        remember(guard, clock)
        converse(guard, clock, "dear", cents=100, turns=4)
        assert said(guard) == [(ev.ANOMALY_OPENED, "dear")]


def test_what_ended_while_nobody_looked_is_closed_at_the_next_start(tmp_path: Path, clock: FakeClock) -> None:
    """By a guard that has nothing to do with the session."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    with Guard(app="a", store=url, prices=CENT, clock=clock) as guard:
        remember(guard, clock)
        converse(guard, clock, "dear", cents=100, turns=4)
    clock = FakeClock(clock.now() + timedelta(hours=30))
    with Guard(app="a", store=url, prices=CENT, clock=clock) as guard:
        guard.flush()
        assert said(guard) == [(ev.ANOMALY_OPENED, "dear"), (ev.ANOMALY_CLOSED, "dear")]


def _spend(url: str, start: Any, at: datetime, offset: int) -> None:
    """One of two processes: half of a session's calls, at the same time as the other."""
    clock = FakeClock(at)
    with Guard(app="a", store=url, prices=CENT, clock=clock) as guard:
        guard.flush()
        start.wait(30)
        for _ in range(4):
            converse(guard, clock, "shared", cents=100, turns=1)
        clock.advance(seconds=601 + offset)
        guard.flush()


def test_two_processes_on_one_ledger_announce_one_episode(tmp_path: Path, clock: FakeClock) -> None:
    """Both see the same session stand out, one event is written."""
    path = tmp_path / "l.db"
    with Guard(app="a", store=f"sqlite:///{path}", prices=CENT, clock=clock) as guard:
        remember(guard, clock)
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    workers = [context.Process(target=_spend, args=(f"sqlite:///{path}", start, clock.now(), n)) for n in (0, 1)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    store = open_store(f"sqlite:///{path}")
    opened = [event for event in store.events() if event.kind == ev.ANOMALY_OPENED]
    assert [event.session for event in opened] == ["shared"]
    assert len(store.calls(CallFilter(session="shared"))) == 8
    store.close()


def test_what_another_guard_has_announced_is_not_told_to_listeners_again(tmp_path: Path, clock: FakeClock) -> None:
    """The second one sees the same session stand out, from its own calls and the other's, and finds the event there."""
    url, heard = f"sqlite:///{tmp_path / 'l.db'}", list[str]()
    with Guard(app="a", store=url, prices=CENT, clock=clock) as one:
        remember(one, clock)
        with Guard(app="a", store=url, prices=CENT, clock=clock, listeners=[lambda e: heard.append(e.kind)]) as other:
            other.flush()
            converse(one, clock, "dear", cents=100, turns=2)
            clock.advance(seconds=700)
            converse(other, clock, "dear", cents=100, turns=1)
            assert [episode.session for episode in other._engine.lookout._watch.open_episodes()] == ["dear"]
        assert said(one) == [(ev.ANOMALY_OPENED, "dear")]
    assert [kind for kind in heard if kind.startswith("anomaly")] == []


def test_a_planned_episode_is_not_spoken_of_again(tmp_path: Path, clock: FakeClock) -> None:
    """The label is an event; a guard that starts later knows it, one that runs learns it within minutes."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    with Guard(app="a", store=url, prices=CENT, clock=clock) as guard:
        remember(guard, clock)
        converse(guard, clock, "dear", cents=100, turns=2)
        episode = next(iter(filed_episodes(guard.store.events()).values())).episode
        guard.store.announce([label_event(episode, "planned", "ana", "load test", "a", clock.now())])
        clock.advance(seconds=700)
        guard.flush()
        converse(guard, clock, "dear", cents=2000, turns=3)
        assert said(guard) == [(ev.ANOMALY_OPENED, "dear"), (ev.ANOMALY_LABELLED, "dear")]
        assert next(iter(filed_episodes(guard.store.events()).values())).state == "planned"


def test_off_looks_at_nothing(make_guard: Any, clock: FakeClock) -> None:
    """No watch, no cost."""
    guard = make_guard(prices=CENT, clock=clock, anomalies=AnomalyRules(mode=Mode.OFF))
    remember(guard, clock)
    converse(guard, clock, "dear", cents=500)
    assert said(guard) == []
    assert guard._engine.lookout is None


class Deaf(MemoryStore):
    """A store whose history cannot be read for a while."""

    is_down = True
    fault: Exception = StoreUnavailableError("memory://", "not now", "wait")

    def calls(self, where: CallFilter) -> Any:
        if self.is_down:
            raise self.fault
        return super().calls(where)


def test_observing_never_raises_and_reads_the_past_when_it_can(make_guard: Any, clock: FakeClock) -> None:
    """The ledger cannot be read at first: calls pass, and nothing that was spent meanwhile is forgotten."""
    store = Deaf()
    guard = make_guard(prices=CENT, clock=clock, store=store)
    remember(guard, clock)
    store.is_down = False
    guard.flush()
    converse(guard, clock, "dear", cents=100, turns=4)
    assert said(guard) == [(ev.ANOMALY_OPENED, "dear")]


@pytest.mark.parametrize(
    "fault", [StoreUnavailableError("memory://", "not now", "wait"), ValueError("generator already executing")]
)
def test_a_fault_while_the_past_is_read_loses_none_of_it(make_guard: Any, clock: FakeClock, fault: Exception) -> None:
    """Whatever it was: a row that nobody can read, a process forked amidst the reading. All of it is read again."""
    store = Deaf()
    store.is_down, store.fault = False, fault
    remember(make_guard(prices=CENT, clock=clock, store=store), clock)
    guard = make_guard(prices=CENT, clock=clock, store=store)
    store.is_down = True
    guard.flush()
    store.is_down = False
    converse(guard, clock, "dear", cents=100, turns=4)
    assert said(guard) == [(ev.ANOMALY_OPENED, "dear")]


def test_settings_of_the_watch_are_those_of_the_guard(make_guard: Any, clock: FakeClock) -> None:
    """A least impact of ten dollars, and four are not enough."""
    rules = AnomalyRules(watch=WatchRules(min_impact_nanos=10 * 10**9))
    guard = make_guard(prices=CENT, clock=clock, anomalies=rules)
    remember(guard, clock)
    converse(guard, clock, "dear", cents=100, turns=4)
    assert said(guard) == []
    assert timedelta(0) < clock.now() - clock.now().replace(hour=0)


def test_a_feature_is_stopped_only_where_the_policy_says_so_and_only_for_a_while(make_guard: Any, clock: FakeClock) -> None:
    """Never a shared scope by default."""
    values = {"started_at": 0.0, "opened_at": 0.0, "seen_at": 0.0, "expected_nanos": 1, "seen_nanos": 100, "impact_nanos": 99}
    whole = Episode(id="an-1", kind=Kind.SPEND_RATE, gravity=Gravity.CRITICAL, feature="chat", **values)  # type: ignore[arg-type]
    change = Change(What.OPENED, whole, 0.0)
    careful = make_guard(prices=CENT, clock=clock, anomalies=AnomalyRules(trip=Gravity.MINOR))
    assert not trips(careful._engine, change)
    guard = make_guard(prices=CENT, clock=clock, anomalies=AnomalyRules(trip=Gravity.MAJOR, trip_feature=True))
    assert trips(guard._engine, change)
    trip_for(guard._engine, whole, clock.now())
    assert converse(guard, clock, "s", cents=1) == 0
    for _ in range(40):
        clock.advance(seconds=120)
        guard._engine.clock.now()
    assert converse(guard, clock, "s2", cents=1) == 3
