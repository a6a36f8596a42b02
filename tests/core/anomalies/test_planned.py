"""Planned windows: what was announced beforehand is no episode, what goes beyond it is, and neither teaches the baseline."""

from __future__ import annotations

from runguard_core.anomalies import Kind, PlannedSpend, WatchRules, planned_factor

from .spending import DAY, HOUR, MONDAY, a_session, healthy, opened, play

WEEKS = healthy(28)
NOW = MONDAY + 28 * DAY
LAUNCH = PlannedSpend("f", NOW, NOW + 7 * DAY, 4.0)
RULES = WatchRules(planned=(LAUNCH,), min_impact_nanos=10**8)
SMALL = WatchRules(min_impact_nanos=10**8)
BUSY = [*WEEKS, *healthy(7, per_day=90, start=NOW, seed=8)]


def test_a_launch_week_within_its_factor_is_silent() -> None:
    """Three times the sessions, four times planned; unplanned the same week is an episode on its first day."""
    assert opened(play(BUSY, RULES, until=NOW + 9 * DAY)) == []
    assert opened(play(BUSY))[0].at_seconds < NOW + DAY
    another = WatchRules(planned=(LAUNCH._replace(feature="other"),))
    assert opened(play(BUSY, another))[0].at_seconds < NOW + DAY


def test_more_than_was_planned_is_an_episode_against_what_was_planned() -> None:
    """Ten times the traffic of an hour where four were planned; the expected is four times the usual."""
    burst = [call for n in range(300) for call in a_session(NOW + 10 * HOUR + n * 12, 0.2, f"b{n}")]
    planned, unplanned = (opened(play([*WEEKS, *burst], rules))[0].episode for rules in (RULES, None))
    assert planned.kind is unplanned.kind is Kind.SPEND_RATE
    assert planned.expected_nanos == 4 * unplanned.expected_nanos
    assert planned.opened_at > unplanned.opened_at


def test_a_dear_session_of_a_planned_window_is_measured_by_the_factor() -> None:
    """Six times the usual is none where four times is planned and six would be one otherwise; thirty times is."""
    for usd, is_out in ((1.4, False), (9.0, True)):
        calls = [*WEEKS, *a_session(NOW + 12 * HOUR, usd, "dear", 8)]
        assert bool(opened(play(calls, RULES))) is is_out
        assert opened(play(calls))[0].episode.session == "dear"


def test_what_is_spent_in_a_window_teaches_no_baseline() -> None:
    """After four planned weeks of three times the traffic the hours, days and sessions before them are still the usual."""
    rules = WatchRules(planned=(LAUNCH._replace(end_seconds=NOW + 28 * DAY, factor=10.0),))
    busy = [*WEEKS, *healthy(28, per_day=90, usd=0.5, start=NOW, seed=8)]
    after = NOW + 28 * DAY
    day = opened(play([*busy, *healthy(1, per_day=60, start=after, seed=8)], rules))
    assert [change.episode.kind for change in day] == [Kind.DAILY_THRESHOLD]
    hour = [call for n in range(40) for call in a_session(after + 10 * HOUR + n * 80, 0.2, f"b{n}")]
    assert [change.episode.kind for change in opened(play([*busy, *hour], rules))] == [Kind.SPEND_RATE]
    dear = opened(play([*busy, *a_session(after + 12 * HOUR, 1.4, "dear", 8)], rules))
    assert [change.episode.session for change in dear] == ["dear"]


def test_a_long_session_of_a_planned_window_too() -> None:
    """Usual at every turn that others have had, and five times as long: dear in all; or dear at its first turn."""
    for usd, turns, kind in ((2.0, 40, Kind.SESSION_SPIKE), (0.4, 1, Kind.MID_SESSION)):
        calls = [*WEEKS, *a_session(NOW + 12 * HOUR, usd, "long", turns)]
        assert opened(play(calls, RULES)) == []
        assert [change.episode.kind for change in opened(play(calls, SMALL))] == [kind]


def test_of_several_windows_the_largest_factor_counts() -> None:
    """And the end is exclusive."""
    both = (LAUNCH, PlannedSpend(None, NOW, NOW + DAY, 6.0))
    assert [planned_factor(both, "f", at) for at in (NOW - 1, NOW, NOW + DAY, NOW + 7 * DAY)] == [1.0, 6.0, 4.0, 1.0]
    assert planned_factor(both, "other", NOW + DAY) == 1.0
