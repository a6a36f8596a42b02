"""A feature's hours, days, level of cost per session, and models without a price."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from runguard_core.anomalies import Kind, Label, SpendWatch, WatchRules, What, latest
from runguard_core.anomalies._spent import Calendar

from .spending import DAY, HOUR, MONDAY, USD, a_session, healthy, opened, play, spent

WEEKS = healthy(28)
NOW = MONDAY + 28 * DAY


def test_ordinary_weeks_are_silent() -> None:
    """Eight of them, three seeds."""
    for seed in (1, 2, 3):
        assert play(healthy(56, seed=seed), until=MONDAY + 90 * DAY) == []


def test_ten_times_the_traffic_is_one_episode_of_the_hour() -> None:
    """Not one for each hour, not another for the day; it ends where the traffic did."""
    burst = [call for n in range(300) for call in a_session(NOW + 10 * HOUR + n * 36, 0.2, f"b{n}")]
    calls = [*WEEKS, *healthy(7, start=NOW, seed=9), *burst]
    changes = play(calls, until=NOW + 9 * DAY)
    assert [change.what for change in changes if change.what is not What.WORSE] == [What.OPENED, What.CLOSED]
    episode = changes[-1].episode
    assert episode.kind is Kind.SPEND_RATE
    assert episode.started_at == NOW + 10 * HOUR
    assert changes[0].at_seconds < NOW + 11 * HOUR, "within the hour"
    assert NOW + 12 * HOUR < (episode.ended_at or 0) < NOW + 14 * HOUR
    assert episode.impact_nanos == pytest.approx(60 * USD, rel=0.2)


def test_a_dearer_day_is_found_before_it_is_over() -> None:
    """Twice the sessions: no hour stands out, the day does."""
    more = healthy(1, per_day=60, start=NOW, seed=8)
    changes = opened(play([*WEEKS, *more]))
    assert [change.episode.kind for change in changes] == [Kind.DAILY_THRESHOLD]
    assert changes[0].at_seconds < NOW + 18 * HOUR
    assert changes[0].episode.started_at == NOW


def test_a_slow_drift_is_one_episode_and_ordinary_noise_is_none() -> None:
    """Three per cent a day on the cost of a session."""
    drifting = [
        one._replace(nanos=round(one.nanos * 1.03 ** ((one.at_seconds - NOW) / DAY)), session=f"d{one.session}")
        for one in healthy(24, start=NOW, seed=5)
    ]
    changes = opened(play([*WEEKS, *drifting]))
    assert [change.episode.kind for change in changes][:1] == [Kind.SLOW_DRIFT]
    assert changes[0].episode.agent == "a"
    assert NOW + 3 * DAY < changes[0].at_seconds < NOW + 15 * DAY
    assert changes[0].episode.started_at <= changes[0].at_seconds


def test_what_lasts_two_weeks_is_the_new_normal() -> None:
    """Closed as such, and silent afterwards."""
    dearer = healthy(40, usd=0.6, start=NOW, seed=6)
    changes = play([*WEEKS, *dearer], until=NOW + 45 * DAY)
    wide = [episode for episode in latest(changes).values() if not episode.session]
    assert wide[0].outcome.startswith("normal from now on")
    assert (wide[0].ended_at or 0) - wide[0].started_at == pytest.approx(14 * DAY, abs=DAY)
    assert [one for one in wide if one.started_at > NOW + 25 * DAY] == []


def test_a_dollar_belongs_to_one_episode_only() -> None:
    """A loop on the day of a burst: their impacts together are no more than what was spent too much."""
    burst = [call for n in range(300) for call in a_session(NOW + 10 * HOUR + n * 36, 0.2, f"b{n}")]
    loop = [spent(NOW + 34 * HOUR + 20 * n, USD // 5, "loop", turn=n + 1) for n in range(200)]
    changes = play([*WEEKS, *healthy(3, start=NOW, seed=9), *burst, *loop], until=NOW + 6 * DAY)
    found = [episode for episode in latest(changes).values() if not episode.joined]
    assert len(found) <= 2
    assert 90 * USD < sum(episode.impact_nanos for episode in found) < 110 * USD


def test_a_feature_is_silent_until_it_has_a_history() -> None:
    """Ten days are too few for hours and days."""
    burst = [call for n in range(300) for call in a_session(MONDAY + 10 * DAY + 10 * HOUR + n * 36, 0.2, f"b{n}")]
    assert opened(play([*healthy(11), *burst])) == []


def test_a_false_alarm_is_released_into_the_baseline_and_a_planned_one_stays_out() -> None:
    """After "false" the same burst passes for normal sooner; neither is spoken of again."""

    def after(label: Label) -> tuple[list[What], bool]:
        watch, said = SpendWatch("app", WatchRules()), []
        burst = [call for n in range(90) for call in a_session(NOW + 9 * HOUR + n * 300, 0.3, f"b{n}")]
        labelled = False
        for one in sorted([*WEEKS, *healthy(7, start=NOW, seed=9), *burst], key=lambda one: one.at_seconds):
            changes = watch.observe(one)
            said += [change.what for change in changes] if labelled else []
            for change in changes:
                if change.what is What.OPENED and not labelled:
                    watch.label(change.episode.id, label)
                    labelled = True
        assert labelled
        return said, bool(watch._features["f"].hours._withheld)

    assert after(Label.PLANNED) == ([], True)
    assert after(Label.FALSE) == ([], False)


def test_tokens_that_cost_nothing_are_a_gap_in_the_meter() -> None:
    """Estimated at the feature's own price a token; closed when a priced call comes; free models are left alone."""
    priced = healthy(5)
    free = [spent(NOW + n, 0, "x", model="local", total_tokens=10**6) for n in range(50)]
    assert play([*priced, *free]) == []
    gap = [one._replace(model="new", is_unpriced=True) for one in free]
    back = spent(NOW + 100, USD // 1000, "y", model="new")
    changes = play([*priced, *gap, back])
    assert [change.what for change in changes if change.what is not What.WORSE] == [What.OPENED, What.CLOSED]
    assert {change.episode.kind for change in changes} == {Kind.METER_GAP}
    assert changes[-1].episode.impact_nanos > USD
    assert "new used tokens and cost nothing" in changes[0].episode.evidence


def test_a_model_that_loses_its_price_is_a_gap() -> None:
    """It was priced before, the policy did not say it is free now."""
    lost = [spent(NOW + n, 0, "x", total_tokens=10**6) for n in range(50)]
    assert [change.episode.model for change in opened(play([*healthy(5), *lost]))] == ["m"]


def test_days_are_those_of_the_policy() -> None:
    """Midnight in Zurich, also on the day on which clocks go back."""
    calendar = Calendar(ZoneInfo("Europe/Zurich"))
    at = datetime(2026, 10, 24, 22, 30, tzinfo=UTC).timestamp()
    point = calendar.point(at)
    assert (point.hour, point.is_weekend) == (0, True)
    assert calendar.start_of_day(point.day_index) == datetime(2026, 10, 24, 22, tzinfo=UTC).timestamp()
    later = calendar.point(datetime(2026, 10, 25, 23, 30, tzinfo=UTC).timestamp())
    assert later.day_index == point.day_index + 1
