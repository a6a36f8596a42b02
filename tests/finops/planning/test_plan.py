"""The plan's sums, the month against it, the reserve and its tails."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.finops import Calendar, session_costs
from runguard_core.finops.owners import Planned, released
from runguard_core.finops.planning import (
    FeaturePlan,
    Plan,
    Spend,
    allocation,
    dearest_hours,
    extra_ahead,
    headroom,
    month_rows,
    quarter_rows,
    read_spend,
    scenarios,
    sessions_by_feature,
    whole_windows,
)
from runguard_core.ledger import CallFilter, Store
from runguard_core.stores import open_store
from tests.finops.conftest import SHOP, START, WEEKS

USD = 10**9
BERLIN = Calendar(zone=ZoneInfo("Europe/Berlin"))
END = START + timedelta(weeks=WEEKS)
amounts = st.integers(0, 10**15)
parts = st.builds(
    FeaturePlan, usd_nanos=st.none() | amounts, session_count=st.integers(0, 10**6), session_nanos=st.integers(0, 10**9)
)


def hourly(calendar: Calendar, first: date, day_count: int, by_hour: Mapping[int, int]) -> Spend:
    """The same spend every local day, at given hours after its first instant."""
    nanos: dict[tuple[str, datetime], int] = {}
    for number in range(day_count):
        day = calendar.day(first + timedelta(days=number))
        for hour, amount in by_hour.items():
            nanos["chat", day.start + timedelta(hours=hour)] = amount
    return Spend(nanos, calendar.instant(first), calendar.instant(first + timedelta(days=day_count)))


@given(
    total=st.none() | amounts.filter(bool), reserve=st.fractions(0, Fraction(99, 100)), features=st.dictionaries(st.text(), parts)
)
def test_the_parts_and_what_is_left_are_the_total_to_the_nano_dollar(
    total: int | None, reserve: Fraction, features: dict[str, FeaturePlan]
) -> None:
    """Allocated + unallocated = total + over; steady state + reserve = total."""
    plan = Plan(total_nanos=total, reserve=reserve, features=features)
    found = allocation(plan)
    assert found.allocated_nanos == sum(part.nanos for part in features.values())
    assert (
        found.allocated_nanos + found.unallocated_nanos == (found.allocated_nanos if total is None else total) + found.over_nanos
    )
    assert not (found.over_nanos and found.unallocated_nanos)
    assert plan.steady_nanos + plan.headroom_nanos == (total or 0)
    assert 0 <= found.reserve_used_nanos <= plan.headroom_nanos


def test_the_plan_of_the_article_leaves_four_hundred_dollars_unallocated() -> None:
    """$4,600 of $5,000: the difference is named."""
    plan = Plan(total_nanos=5000 * USD, features={"a": FeaturePlan(usd_nanos=4600 * USD)})
    found = allocation(plan)
    assert (found.unallocated_nanos, found.over_nanos) == (400 * USD, 0)
    assert (plan.steady_nanos, plan.headroom_nanos) == (3500 * USD, 1500 * USD)
    assert found.reserve_used_nanos == 1100 * USD


def test_a_planned_feature_costs_its_sessions_times_one_and_is_compared_with_its_amount() -> None:
    """20,000 sessions at $0.04 are $800, more than the $700 given."""
    part = FeaturePlan(usd_nanos=700 * USD, session_count=20_000, session_nanos=USD // 25)
    assert part.estimate_nanos == 800 * USD
    assert allocation(Plan(features={"new": part})).underfunded == {"new": 100 * USD}


def test_spend_is_that_of_the_calls_in_every_window(shop: Store) -> None:
    """By week, month and feature, in a zone whose days begin elsewhere; nothing is counted twice."""
    spend = read_spend(shop, SHOP, BERLIN, END)
    calls = shop.calls(CallFilter(app=SHOP, until=END))
    assert spend.total == sum(call.cost_nanos for call in calls)
    for kind in ("day", "week", "month"):
        by_kind = spend.by_kind(BERLIN, kind)
        assert sum(sum(one.values()) for one in by_kind.values()) == spend.total
        for window in whole_windows(spend, BERLIN, kind)[:5]:
            truth = sum(call.cost_nanos for call in calls if window.covers(call.started_at))
            assert spend.of(window) == truth == sum(one.get(window.first_day, 0) for one in by_kind.values())


def test_what_is_read_begins_with_the_first_call_and_not_with_days_that_nobody_saw() -> None:
    """A young ledger has no cheap past."""
    empty = open_store("memory://")
    assert read_spend(empty, None, BERLIN, END).features == ()
    assert whole_windows(read_spend(empty, None, BERLIN, END), BERLIN, "day") == []


def test_a_young_ledger_is_not_diluted_by_days_before_it(shop: Store) -> None:
    """Asked from long before the first call on, the same is read."""
    long_ago = read_spend(shop, SHOP, BERLIN, END, START - timedelta(days=400))
    assert long_ago == read_spend(shop, SHOP, BERLIN, END)


@pytest.mark.parametrize(("first", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_the_dearest_hours_of_a_day_in_which_clocks_change(first: date, hours: int) -> None:
    """Six hours at the day's end are found whether it has 23, 24 or 25."""
    spend = hourly(BERLIN, first, 1, dict.fromkeys(range(hours), 1) | {hours - 1: 50})
    assert dearest_hours(spend, BERLIN.day(first), 6) == 55


def test_the_reserve_is_used_by_what_is_above_the_steady_pace() -> None:
    """Half of June gone: $350 of $700 is the pace; $500 spent uses $150 of $300."""
    plan = Plan(total_nanos=1000 * USD)
    spend = hourly(BERLIN, date(2026, 6, 1), 15, {9: 500 * USD // 15})
    month = BERLIN.month(date(2026, 6, 1))
    room = headroom(plan, spend, BERLIN, month, BERLIN.instant(date(2026, 6, 16)))
    assert room.pace_nanos == 350 * USD
    assert abs(room.used_nanos - 150 * USD) < 100
    assert abs(room.left_nanos - 150 * USD) < 100
    assert room.used_ratio == pytest.approx(0.5)


@pytest.mark.parametrize("month", [date(2026, 3, 1), date(2026, 10, 1)])
def test_a_steady_month_in_which_clocks_change_uses_no_reserve(month: date) -> None:
    """The pace counts real hours: at the month's end it is the whole steady state, at no instant more."""
    plan, window = Plan(total_nanos=1000 * USD), BERLIN.month(month)
    spend = hourly(BERLIN, month, len(window.days), {0: 1})
    rooms = [headroom(plan, spend, BERLIN, window, window.start + timedelta(hours=hour)) for hour in (0, 700, 720, 760)]
    assert [room.pace_nanos for room in rooms] == sorted(room.pace_nanos for room in rooms)
    assert rooms[0].pace_nanos == 0
    assert rooms[-1].pace_nanos == 700 * USD


def test_the_three_tails_cost_what_their_rules_say_and_fit_or_not() -> None:
    """$10 a day, of which $6 in six hours: $54, $140 and $300 against a reserve of $150."""
    spend = hourly(BERLIN, date(2026, 5, 4), 28, dict.fromkeys(range(9, 15), USD) | {2: 4 * USD})
    plan, now = Plan(total_nanos=500 * USD), BERLIN.instant(date(2026, 6, 1))
    room = headroom(plan, spend, BERLIN, BERLIN.month(date(2026, 6, 1)), now)
    short, week, month = scenarios(room, spend, BERLIN)
    assert [one.extra_nanos for one in (short, week, month)] == [54 * USD, 140 * USD, 300 * USD]
    assert [one.fits_whole for one in (short, week, month)] == [True, True, False]
    assert month.lasts_ratio == 0.5


def test_a_tail_that_an_untouched_reserve_carries_may_not_fit_what_is_left() -> None:
    """Most of it was used by a bad start."""
    plan, month = Plan(total_nanos=500 * USD), BERLIN.month(date(2026, 5, 1))
    spend = hourly(BERLIN, date(2026, 4, 13), 28, dict.fromkeys(range(9, 15), 4 * USD))
    short = scenarios(headroom(plan, spend, BERLIN, month, BERLIN.instant(date(2026, 5, 11))), spend, BERLIN)[0]
    assert (short.extra_nanos, short.fits_whole, short.fits_now) == (216 * USD, False, False)
    cheap = hourly(BERLIN, date(2026, 4, 13), 28, {9: 15 * USD})
    short = scenarios(headroom(plan, cheap, BERLIN, month, BERLIN.instant(date(2026, 5, 11))), cheap, BERLIN)[0]
    assert (short.extra_nanos, short.fits_whole, short.fits_now) == (135 * USD, True, False)


def test_of_an_empty_ledger_no_tail_is_known_and_none_is_said_to_fit() -> None:
    """Unknown is not zero."""
    spend = Spend({}, END, END)
    room = headroom(Plan(total_nanos=USD), spend, BERLIN, BERLIN.month(END), END)
    assert room.run_rate_nanos is None
    assert [(one.extra_nanos, one.fits_now) for one in scenarios(room, spend, BERLIN)] == [(None, None)] * 3
    assert month_rows(Plan(), spend, {}, BERLIN, BERLIN.month(END), END) == []


def test_a_month_has_a_row_for_each_feature_planned_or_seen(shop: Store) -> None:
    """Spend and sessions are the ledger's, those planned come first, the sum is the month's."""
    month = BERLIN.month(date(2026, 8, 20))
    spend = read_spend(shop, SHOP, BERLIN, END)
    costs = sessions_by_feature(session_costs(shop, SHOP, month.start, month.end))
    plan = Plan(features={"search": FeaturePlan(usd_nanos=1), "voice": FeaturePlan(session_count=5, session_nanos=USD)})
    rows = month_rows(plan, spend, costs, BERLIN, month, month.end)
    assert [row.feature for row in rows[:2]] == ["search", "voice"]
    assert sum(row.spent_nanos for row in rows) == spend.of(month) == sum(row.sessions.nanos for row in rows)
    assert rows[0].is_over
    assert rows[0].tracks_over
    assert rows[1].expected_nanos == 0
    assert {row.expected_nanos == row.spent_nanos for row in rows} == {True}, "the month is over: nothing is left to come"


def test_a_quarter_shows_plan_actual_and_the_trend_of_cost_per_session(shop: Store) -> None:
    """Three plans, the months' spend, the last month against the first."""
    months = [BERLIN.month(date(2026, number, 1)) for number in (7, 8, 9)]
    sessions = [sessions_by_feature(session_costs(shop, SHOP, month.start, month.end)) for month in months]
    rows = quarter_rows(
        Plan(features={"search": FeaturePlan(usd_nanos=7)}), read_spend(shop, SHOP, BERLIN, END), sessions, months
    )
    search = rows[0]
    assert search.planned_nanos == 21
    first, last = sessions[1]["search"].mean_nanos, sessions[2]["search"].mean_nanos
    assert search.sessions[0].mean_nanos is None
    assert first
    assert last
    assert search.trend_ratio == pytest.approx(last / first - 1)
    assert sum(search.spent_nanos) == sum(one["search"].nanos for one in sessions if one)


def test_a_planned_launch_takes_its_part_of_the_reserve_before_it_begins() -> None:
    """$10 a day times three for four days is $80 more: released a day before, half of it still to come after two days."""
    window = BERLIN.window("launch", date(2026, 6, 10), date(2026, 6, 14))
    launch = Planned(feature="chat", window=window, factor=3.0, reason="launch")
    other = Planned(feature="search", window=window, factor=9.0, reason="not ours")
    month, plan = BERLIN.month(date(2026, 6, 1)), Plan(total_nanos=1000 * USD)
    for day, extra in ((date(2026, 6, 8), 0), (date(2026, 6, 9), 80), (date(2026, 6, 12), 40), (date(2026, 6, 14), 0)):
        now = BERLIN.instant(day)
        spend = hourly(BERLIN, date(2026, 5, 4), (day - date(2026, 5, 4)).days, {9: 10 * USD})
        ahead = extra_ahead(released([launch, other], now), spend, BERLIN, now, month.end)
        assert ahead == ({"chat": extra * USD} if extra else {})
        room = headroom(plan, spend, BERLIN, month, now, sum(ahead.values()))
        assert room.left_nanos == 300 * USD - extra * USD
        rows = month_rows(plan, spend, {}, BERLIN, month, now, extra_ahead([launch], spend, BERLIN, now, month.end))
        whole = 300 + {date(2026, 6, 8): 80}.get(day, extra)
        assert rows[0].expected_nanos == whole * USD


def test_what_a_launch_spends_does_not_make_the_usual_dearer() -> None:
    """Two of four days gone at three times $10: two days are left, at the usual of before."""
    window = BERLIN.window("launch", date(2026, 6, 10), date(2026, 6, 14))
    launch = Planned(feature=None, window=window, factor=3.0, reason="launch")
    before, during = (
        hourly(BERLIN, first, count, {9: dollars * USD})
        for first, count, dollars in ((date(2026, 5, 4), 37, 10), (date(2026, 6, 10), 2, 30))
    )
    spend = Spend({**before.nanos, **during.nanos}, before.since, during.until)
    assert extra_ahead([launch], spend, BERLIN, during.until, window.end) == {"chat": 40 * USD}
