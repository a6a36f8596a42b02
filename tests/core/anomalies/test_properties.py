"""What holds for any spend: batches, currencies, hostile values, bounds."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.anomalies import Change, Kind, SpendWatch, Spent, WatchRules, What, latest
from runguard_core.anomalies._sessions import CHECKPOINTS
from runguard_core.anomalies._window import Level, Window

from .spending import DAY, HOUR, MONDAY, USD, a_session, healthy, opened, play, spent

HISTORY = healthy(16, per_day=12)
NOW = MONDAY + 16 * DAY


@st.composite
def incidents(draw: Any) -> list[Spent]:
    """A few days after the history with loops, bursts and dear sessions anywhere."""
    found: list[Spent] = []
    for number in range(draw(st.integers(0, 4))):
        at = NOW + draw(st.integers(0, 60)) * HOUR
        usd, turns = draw(st.sampled_from([0.2, 3, 12, 50])), draw(st.sampled_from([1, 4, 30]))
        for copy in range(draw(st.sampled_from([1, 1, 5, 60]))):
            found += a_session(at + 40 * copy, usd, f"i{number}-{copy}", turns=turns)
    return sorted([*healthy(3, per_day=12, start=NOW, seed=4), *found], key=lambda one: one.at_seconds)


def verdicts(changes: list[Change]) -> list[tuple[What, str, str, str]]:
    """Everything but amounts and sentences."""
    return [(c.what, c.episode.id, c.episode.kind.value, c.episode.gravity.value) for c in changes]


@given(incidents(), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_batches_make_no_difference(calls: list[Spent], sizes: list[int]) -> None:
    """One by one, or in batches with a look at the clock after each: the same episodes."""
    plain = play([*HISTORY, *calls], until=NOW + 20 * DAY)
    watch, found = SpendWatch("app", WatchRules()), []
    rows, place, turn = [*HISTORY, *calls], 0, 0
    while place < len(rows):
        batch = rows[place : place + sizes[turn % len(sizes)]]
        place, turn = place + len(batch), turn + 1
        for one in batch:
            found += watch.observe(one)
        found += watch.settle(batch[-1].at_seconds)
    found += watch.settle(NOW + 20 * DAY)
    assert {i: e.kind for i, e in latest(found).items()} == {i: e.kind for i, e in latest(plain).items()}
    assert [v for v in verdicts(found) if v[0] is What.OPENED] == [v for v in verdicts(plain) if v[0] is What.OPENED]


@given(incidents(), st.sampled_from([0.001, 0.5, 8, 1000]))
def test_the_currency_makes_no_difference(calls: list[Spent], scale: float) -> None:
    """All spend times k, and the least impact too: the same verdicts."""
    rows = [*HISTORY, *calls]
    scaled = [one._replace(nanos=round(one.nanos * scale)) for one in rows]
    one = play(rows, WatchRules(min_impact_nanos=USD), until=NOW + 20 * DAY)
    other = play(scaled, WatchRules(min_impact_nanos=round(USD * scale)), until=NOW + 20 * DAY)
    assert verdicts(one) == verdicts(other)


@given(incidents())
def test_an_episode_is_opened_once_and_closed_once(calls: list[Spent]) -> None:
    """In that order, with times that make sense and impacts that only grow while it is open."""
    changes = play([*HISTORY, *calls], until=NOW + 30 * DAY)
    by_id: dict[str, list[Change]] = {}
    for change in changes:
        if change.what is not What.JOINED:
            by_id.setdefault(change.episode.id, []).append(change)
    for story in by_id.values():
        whats = [change.what for change in story]
        assert whats[0] is What.OPENED
        assert whats[-1] is What.CLOSED
        assert set(whats[1:-1]) <= {What.WORSE}
        last = story[-1].episode
        assert last.started_at <= last.opened_at
        assert last.started_at <= (last.ended_at or 0)
        growing = [change.episode.impact_nanos for change in story[:-1]]
        assert growing == sorted(growing)
        assert all(amount >= 0 for amount in growing)


HOSTILE = st.builds(
    Spent,
    at_seconds=st.one_of(st.floats(0, 4e9, allow_nan=False), st.just(MONDAY), st.just(NOW)),
    feature=st.sampled_from(["", "f", "\0", "\ud800", "x" * 300]),
    agent=st.sampled_from(["", "a", "\ud800"]),
    session=st.text(max_size=3),
    run=st.sampled_from(["", "r"]),
    turn=st.integers(0, 3),
    model=st.sampled_from(["", "m", "\ud800"]),
    nanos=st.sampled_from([0, 1, USD, 2**62]),
    total_tokens=st.sampled_from([0, 1, 2**62]),
    is_unpriced=st.booleans(),
    call_id=st.just("c"),
)


@given(st.lists(HOSTILE, max_size=60))
def test_nothing_that_a_ledger_can_hold_breaks_the_watch(calls: list[Spent]) -> None:
    """Times in any order, names that are none, amounts at the edge; with and without a history."""
    for past in ([], HISTORY):
        watch = SpendWatch("app", WatchRules(min_impact_nanos=0, min_history_sessions=10))
        for one in [*past, *calls]:
            watch.observe(one)
        watch.settle(5e9)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=300), st.integers(1, 40))
def test_a_window_is_the_latest_values_sorted(values: list[float], size: int) -> None:
    """Compared with sorting them all."""
    window = Window(size)
    for value in values:
        window.add(value)
    kept = sorted(values[-size:])
    assert window.median == pytest.approx((kept[(len(kept) - 1) // 2] + kept[len(kept) // 2]) / 2)
    assert window.quantile(0) == kept[0]
    assert window.quantile(1) == kept[-1]
    assert window.spread(0.05) >= 0.05


def test_an_empty_level_has_no_limit_that_can_be_passed_by_nothing() -> None:
    """A cost of nothing has no logarithm and is left out."""
    level = Level(10)
    level.add(0)
    assert len(level) == 0


def test_names_without_end_do_not_push_out_the_feature_that_is_used() -> None:
    """A feature named by a user's input, a new one with every call: the history of the others is there when it is needed."""
    calls = healthy(15)
    hostile = [spent(one.at_seconds + 1, 1, f"x{place}", feature=f"x{place}") for place, one in enumerate(calls)]
    crowd = healthy(1, per_day=900, start=MONDAY + 15 * DAY)
    assert len(hostile) > 1_200
    found = opened(play([*calls, *hostile, *crowd]))
    assert [(change.episode.feature, change.episode.kind) for change in found] == [("f", Kind.DAILY_THRESHOLD)]


def test_memory_is_bounded() -> None:
    """Fifty thousand sessions of five thousand features and agents."""
    watch, dice = SpendWatch("app", WatchRules(idle_seconds=10**9)), Random(1)
    for number in range(50_000):
        name = f"f{dice.randrange(5000)}"
        watch.observe(spent(MONDAY + number, USD // 100, f"s{number}", feature=name, agent=name))
    assert len(watch._sessions._running) <= 20_000
    assert len(watch._sessions._finished) <= 2_000
    assert len(watch._features) <= 1_000
    assert len(CHECKPOINTS) < 50
