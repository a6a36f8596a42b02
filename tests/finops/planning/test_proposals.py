"""Session limits from the past: which sessions are learned from, how high, and what they would have stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.anomalies import Episode, Gravity, Kind, Label
from runguard_core.cli._plan_propose import propose
from runguard_core.finops.planning import Health, PastSession, healths, past_sessions, proposals, recorded_nanos, rounded_up
from runguard_core.guard import FiledEpisode, Guard
from runguard_core.replay import RecordedEvent, Recording

NOON = 1_790_000_000.0
P99, P999 = Fraction(99, 100), Fraction(999, 1000)


def past(costs: list[int], feature: str = "chat", health: Health = Health.WELL) -> list[PastSession]:
    """One session a cost."""
    return [PastSession(feature=feature, session=f"s{n}", nanos=nanos, health=health) for n, nanos in enumerate(costs)]


def run(number: int, nanos: int, calls: int = 4, status: str = "completed", session: str | None = None) -> Recording:
    """A run of some calls at the same price."""
    events = tuple(
        RecordedEvent(
            index=index, kind="llm", model="gpt-4o-mini", input_tokens=10, output_tokens=1, cost_nanos=nanos, is_charged=True
        )
        for index in range(calls)
    )
    return Recording(
        run_id=f"r{number}", events=events, session=session or f"s{number}", outcome={"status": status}, who={"feature": "chat"}
    )


@given(st.lists(st.integers(1, 10**12), min_size=30, max_size=300), st.sampled_from([P99, P999]))
def test_a_limit_lets_at_least_its_share_of_healthy_sessions_pass(costs: list[int], share: Fraction) -> None:
    """By counting; and it is not more than two digits' rounding above the dearest."""
    found = proposals(past(costs), share)[0]
    assert found.limit_nanos is not None
    assert sum(nanos <= found.limit_nanos for nanos in costs) >= P99 * len(costs)
    assert found.limit_nanos <= max(costs) * 1.1 + 1


@pytest.mark.parametrize(("count", "share", "said"), [
    (1000, P999, "P99.9 of 1,000 healthy"), (999, P999, "P99 of 999 healthy"), (100, P99, "P99 of 100 healthy"),
    (99, P999, "dearest of 99 healthy"), (30, P99, "dearest of 30 healthy"),
])  # fmt: skip
def test_a_percentile_is_named_only_where_sessions_lie_above_it(count: int, share: Fraction, said: str) -> None:
    """P99.9 of a hundred sessions would be made up."""
    assert proposals(past(list(range(1, count + 1))), share)[0].rule == said


def test_from_few_sessions_or_sick_ones_nothing_is_proposed() -> None:
    """29 healthy ones, any number that failed or do not say."""
    sessions = past([5] * 29) + past([10**12] * 500, health=Health.BADLY) + past([10**12] * 500, health=Health.UNTOLD)
    found = proposals(sessions, P99)[0]
    assert (found.limit_nanos, found.healthy_count, found.session_count) == (None, 29, 1029)
    assert "29 healthy sessions, at least 30" in found.rule
    assert proposals([], P99) == []


def test_a_session_is_all_its_runs_and_healthy_when_none_of_them_failed() -> None:
    """One run that does not say does not decide."""
    runs = [
        run(1, 5, session="a"),
        run(2, 5, session="a", status=""),
        run(3, 5, session="b"),
        run(4, 5, session="b", status="stopped"),
    ]
    found = past_sessions(runs, [recorded_nanos(one) or 0 for one in runs], healths(runs, (), "app"), "app")
    assert [(one.session, one.nanos, one.health) for one in found] == [("a", 40, Health.WELL), ("b", 40, Health.BADLY)]


def episode(number: int, **more: object) -> FiledEpisode:
    """An hour of unusual spend from midnight on."""
    facts: dict[str, Any] = {
        "id": f"an-{number}", "kind": Kind.SPEND_RATE, "gravity": Gravity.MAJOR, "feature": "chat", "started_at": NOON,
        "opened_at": NOON, "seen_at": NOON, "ended_at": NOON + 3600, "expected_nanos": 1, "seen_nanos": 2, "impact_nanos": 1,
    }  # fmt: skip
    label = more.pop("label", None)
    return FiledEpisode(Episode(**(facts | more)), label)  # type: ignore[arg-type]


def test_what_stood_out_is_not_learned_from_unless_somebody_called_it_normal() -> None:
    """By its session, or by its feature's hour; a drift says nothing against one session."""
    at = [
        replace(run(n, 5), events=(replace(run(n, 5).events[0], at=datetime.fromtimestamp(NOON + n * 3000, UTC)),))
        for n in range(3)
    ]
    ok, odd = Health.WELL, Health.STOOD_OUT
    assert healths(at, [], "app") == [ok, ok, ok]
    assert healths(at, [episode(1)], "app") == [odd, odd, ok]
    assert healths(at, [episode(1, label=Label.PLANNED)], "app") == [odd, odd, ok]
    assert healths(at, [episode(1, label=Label.FALSE)], "app") == [ok, ok, ok]
    assert healths(at, [episode(1, feature="search")], "app") == [ok, ok, ok]
    assert healths(at, [episode(1, kind=Kind.SLOW_DRIFT)], "app") == [ok, ok, ok]
    assert healths(at, [episode(1, kind=Kind.SESSION_SPIKE, session="s2")], "app") == [ok, ok, odd]
    assert healths([run(1, 5, status="failed"), run(2, 5, status="")], [episode(1)], "app") == [Health.BADLY, Health.UNTOLD]


def test_costs_are_read_where_each_call_has_its_charge_and_else_played() -> None:
    """A call without one leaves the run untold."""
    event = RecordedEvent(index=0, kind="llm", model="gpt-4o-mini", input_tokens=10, output_tokens=1)
    assert recorded_nanos(Recording(run_id="x", events=(event,))) is None
    assert recorded_nanos(run(1, 7)) == 28


@given(st.integers(0, 2**62))
def test_rounding_up_keeps_two_digits(nanos: int) -> None:
    """Never below, never by more than a tenth."""
    found = rounded_up(nanos)
    assert nanos <= found <= nanos * 1.1 + 1
    assert len(str(found).rstrip("0") or "0") <= 2 or found < 100


def test_what_a_limit_would_have_stopped_is_played_healthy_ones_included() -> None:
    """A runaway of 400 calls is stopped, and one healthy session of a hundred: P99 lets 99 pass."""
    runs = [run(number, 1_000_000 + number) for number in range(99)] + [run(99, 50_000_000), run(100, 1_000_000, 400, "failed")]
    [(found, stopped)] = propose(runs, (), Guard(app="shop", store="memory://").rules, P99)
    assert found.rule == "P99 of 100 healthy"
    assert found.limit_nanos == 4_100_000
    assert (stopped.session_count, stopped.healthy_count, stopped.healthy_sessions) == (2, 1, ("s99",))
    assert stopped.saved_nanos >= 396 * 1_000_000 - 10**7
