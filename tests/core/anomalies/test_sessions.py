"""Sessions against finished ones, in all and at the same turn."""

from __future__ import annotations

import pytest

from runguard_core.anomalies import Kind, SpendWatch, WatchRules, What

from .spending import DAY, HOUR, MONDAY, USD, a_session, healthy, opened, play, spent

NOW = MONDAY + 5 * DAY + 9 * HOUR
HISTORY = healthy(5, per_day=10)


def test_a_spike_is_one_episode_however_many_calls_follow() -> None:
    """Opened when it passes the limit, worse a few times at most, closed with everything it cost above the usual."""
    loop = [spent(NOW + 30 * n, USD // 5, "loop", turn=n + 1) for n in range(200)]
    changes = play(HISTORY + loop, until=NOW + DAY)
    assert [change.what for change in changes if change.what is not What.WORSE] == [What.OPENED, What.CLOSED]
    assert 1 <= sum(change.what is What.WORSE for change in changes) <= 6
    first, last = changes[0].episode, changes[-1].episode
    assert first.id == last.id
    assert (first.session, first.feature, first.agent) == ("loop", "f", "a")
    assert first.started_at == NOW
    assert last.ended_at == NOW + 30 * 199
    assert last.seen_nanos == 200 * (USD // 5)
    assert last.impact_nanos == last.seen_nanos - last.expected_nanos
    assert "session loop" in first.evidence
    assert changes[0].at_seconds < NOW + 30 * 60, "a loop of 40 dollars is found before it has cost 12"


def test_a_running_session_is_compared_with_finished_ones_at_the_same_turn() -> None:
    """Five dollars in all are usual here, two of them in the first turn are not."""
    long = [call for n in range(40) for call in a_session(MONDAY + n * 2 * HOUR, 4.8 + n % 5 / 10, f"l{n}", turns=20)]
    changes = play([*long, spent(NOW, 2 * USD, "front-loaded", turn=1)])
    assert [(change.what, change.episode.kind) for change in changes] == [(What.OPENED, Kind.MID_SESSION)]
    assert changes[0].episode.expected_nanos == pytest.approx(0.25 * USD, rel=0.1)
    assert "at turn 1" in changes[0].episode.evidence


def test_a_retry_stays_in_its_turn() -> None:
    """Six attempts of the first turn are one turn that costs six times as much."""
    flat = [call for n in range(40) for call in a_session(MONDAY + n * 2 * HOUR, 12, f"l{n}", turns=12)]
    storm = [spent(NOW + n, USD, "storm", turn=1) for n in range(6)]
    calm = [spent(NOW + n, USD, "calm", turn=n + 1) for n in range(6)]
    assert [change.episode.session for change in opened(play(flat + storm + calm))] == ["storm"]


def test_nothing_stands_out_before_there_is_a_history() -> None:
    """29 finished sessions are too few, 30 are enough; what is stated is what is asked for."""
    for count, expected in ((29, 0), (30, 1)):
        past = [call for n in range(count) for call in a_session(MONDAY + n * HOUR / 4, 0.2 + n % 7 / 100, f"p{n}")]
        assert len(opened(play([*past, *a_session(NOW, 20, "big")]))) == expected


def test_equal_sessions_have_a_spread_all_the_same() -> None:
    """A MAD of nothing must not make one cent more an anomaly; the ratio and the impact must be there too."""
    past = [call for n in range(60) for call in a_session(MONDAY + n * HOUR, 1.0, f"p{n}")]
    assert opened(play([*past, *a_session(NOW, 2.5, "more")])) == []
    assert len(opened(play([*past, *a_session(NOW, 8, "much more")]))) == 1


def test_an_impact_below_the_least_is_no_episode() -> None:
    """Twenty times the usual is nothing when it is a few cents."""
    cheap = healthy(5, per_day=10, usd=0.001)
    assert opened(play([*cheap, *a_session(NOW, 0.5, "loud")])) == []
    assert len(opened(play([*cheap, *a_session(NOW, 0.5, "loud")], WatchRules(min_impact_nanos=USD // 10)))) == 1


def test_incidents_do_not_teach_the_baseline() -> None:
    """After forty loops the same loop is still found, at the same amount."""

    def found_at(loops: int) -> int:
        past = [*HISTORY]
        for number in range(loops):
            past += a_session(NOW + number * 2 * DAY, 30, f"loop{number}", turns=30)
        last = [spent(NOW + 100 * DAY + n, USD // 10, "last", turn=n + 1) for n in range(300)]
        return next(c.episode.seen_nanos for c in play([*past, *last]) if c.episode.session == "last")

    assert found_at(40) == found_at(0)


def test_several_sessions_of_a_feature_are_one_episode_of_it() -> None:
    """The first two are announced, the third makes it the feature's; later ones only add to it."""
    bad = [call for n in range(8) for call in a_session(NOW + n * HOUR / 4, 9, f"bad{n}", turns=2)]
    changes = play(HISTORY + bad, until=NOW + 3 * DAY)
    assert [c.episode.session for c in opened(changes)] == ["bad0", "bad1", ""]
    assert {c.episode.session for c in changes if c.episode.joined} == {"bad0", "bad1"}
    wide = [change.episode for change in changes if not change.episode.session]
    assert len({one.id for one in wide}) == 1
    assert wide[-1].ended_at is not None
    assert wide[-1].session_count == 8
    assert wide[-1].impact_nanos == pytest.approx(8 * 9 * USD, rel=0.1)
    joined = {change.episode.session for change in changes if change.what is What.JOINED}
    assert joined == {f"bad{n}" for n in range(2, 8)}


def test_open_episodes_are_listed() -> None:
    """What goes on now."""
    watch = SpendWatch("app", WatchRules())
    for one in [*HISTORY, *a_session(NOW, 40, "loop")]:
        watch.observe(one)
    assert [episode.session for episode in watch.open_episodes()] == ["loop"]
    watch.settle(NOW + DAY)
    assert watch.open_episodes() == []
