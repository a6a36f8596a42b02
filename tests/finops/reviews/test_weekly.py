"""The weekly review: its sums are the calls' sums, its percentiles those of the sessions, in every time zone and week."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runguard_core.attribution import Attribution, feature_of
from runguard_core.budgets import Budget
from runguard_core.finops import Calendar
from runguard_core.finops.owners import Duty, Registry
from runguard_core.finops.planning import FeaturePlan, Plan
from runguard_core.finops.reviews import (
    Practice,
    Verdict,
    WeeklyReview,
    _material,
    digest_page,
    html,
    markdown,
    read_material,
    scaled,
    weekly,
    weekly_document,
    weekly_page,
    with_agenda,
)
from runguard_core.guard import AttributionRule
from runguard_core.ledger import CallFilter, Store, conversation_of
from runguard_core.stores import open_store
from tests.finops.conftest import SHOP
from tests.finops.reviews.ledgers import APP, model_call, put

BERLIN = ZoneInfo("Europe/Berlin")


def review(store: Store, at: date, calendar: Calendar | None = None, practice: Practice | None = None) -> WeeklyReview:
    calendar = calendar or Calendar()
    material = read_material(store, None, calendar, calendar.week(at), practice or Practice())
    return with_agenda(weekly(material, practice or Practice()))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_the_spend_of_a_week_is_the_sum_of_its_calls(shop: Store, zone: str) -> None:
    """In any zone, call by call, by feature and in all."""
    calendar = Calendar(zone=ZoneInfo(zone))
    for number in range(6):
        at = date(2026, 8, 3) + timedelta(weeks=number)
        week = calendar.week(at)
        truth: dict[str, int] = {}
        for call in shop.calls(CallFilter(app=SHOP, since=week.start, until=week.end)):
            name = feature_of(call.attribution)
            truth[name] = truth.get(name, 0) + call.cost_nanos
        it = review(shop, at, calendar)
        assert {row.feature: row.nanos for row in it.features if row.nanos} == truth
        assert it.nanos == sum(truth.values()) > 0
        assert it.total.cost_nanos == it.nanos


def test_percentiles_are_those_of_the_sessions_costs(shop: Store) -> None:
    """Recomputed by counting: half of the sessions cost no more than the median, 95 % no more than P95."""
    week = Calendar().week(date(2026, 9, 7))
    costs: dict[str, dict[str, int]] = {}
    for call in shop.calls(CallFilter(app=SHOP, since=week.start, until=week.end)):
        its = costs.setdefault(feature_of(call.attribution), {})
        its[conversation_of(call)] = its.get(conversation_of(call), 0) + call.cost_nanos
    for row in review(shop, week.first_day).features:
        values = list(costs[row.feature].values())
        assert row.session_count == len(values)
        for share, found in ((0.5, row.median_nanos), (0.95, row.p95_nanos)):
            enough = [value for value in values if sum(other <= value for other in values) >= share * len(values)]
            assert found == min(enough)


def test_the_same_ledger_gives_the_same_bytes(shop: Store) -> None:
    """In every form; a review reads no clock."""
    one, other = (review(shop, date(2026, 9, 7)) for _ in range(2))
    for form in (html, markdown):
        assert form(weekly_page(one)) == form(weekly_page(other))
    assert json.dumps(weekly_document(one)) == json.dumps(weekly_document(other))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hours=st.lists(st.integers(-24 * 8, 24 * 16), min_size=1, max_size=12),
    first=st.sampled_from([date(2026, 3, 23), date(2026, 10, 19), date(2026, 6, 1)]),
)
def test_each_call_is_in_one_week_when_clocks_change(hours: list[int], first: date) -> None:
    """Three weeks around a change add up to everything, none counted twice."""
    calendar, store = Calendar(zone=BERLIN), open_store("memory://")
    start = calendar.week(first).start
    for number, hour in enumerate(hours):
        put(store, model_call(start + timedelta(hours=hour, minutes=7), 1000 + number, session=f"s{number}"))
    weeks = [review(store, first + timedelta(weeks=shift), calendar).nanos for shift in (-2, -1, 0, 1, 2)]
    assert sum(weeks) == sum(1000 + number for number in range(len(hours)))


def test_a_week_without_calls_is_a_page_that_says_so() -> None:
    """No rows, no percentiles, no division by nothing."""
    it = review(open_store("memory://"), date(2026, 9, 7))
    assert (it.features, it.nanos) == ((), 0)
    assert "Share of spend" not in markdown(weekly_page(it))
    assert "$0 for 0 model calls" in markdown(weekly_page(it))
    assert sum(point.minutes for point in it.agenda) == 2


def test_a_feature_with_one_session_has_its_cost_as_median_and_p95() -> None:
    """And no direction: one session shows none."""
    store = open_store("memory://")
    put(store, model_call(datetime(2026, 9, 8, 12, tzinfo=UTC), 5_000_000))
    (row,) = review(store, date(2026, 9, 7)).features
    assert (row.median_nanos, row.p95_nanos, row.session_count) == (5_000_000, 5_000_000, 1)
    assert (row.verdict, row.went.value, row.nanos_before) == (Verdict.NORMAL, "unknown", 0)


def test_a_feature_that_fell_silent_keeps_its_row_for_a_week() -> None:
    """It spent last week, so its absence is news."""
    store = open_store("memory://")
    put(store, model_call(datetime(2026, 9, 2, tzinfo=UTC), 5_000_000))
    (row,) = review(store, date(2026, 9, 7)).features
    assert (row.nanos, row.nanos_before, row.median_nanos) == (0, 5_000_000, None)
    assert review(store, date(2026, 9, 14)).features == ()


def test_budgets_are_scaled_to_the_week_and_a_plan_goes_before_them() -> None:
    """The tightest budget that counts the feature and nothing else; days, weeks and months as they are in that week."""
    store = open_store("memory://")
    put(store, model_call(datetime(2026, 9, 29, tzinfo=UTC), 5 * 10**9, team="care"))
    budgets = [
        Budget("2 USD", name="day", per="feature", period="day"), Budget("310 USD", name="month", where={"feature": "search"}, period="month"),
        Budget("1 USD", name="user", per=["feature", "user"], period="day"), Budget("1 USD", name="other", where={"feature": "chat"}, period="week"),
        Budget("1 USD", name="session", per="session"), Budget("100 USD", name="all", period="week"),
    ]  # fmt: skip
    at = date(2026, 9, 28)  # three days of September, four of October
    it = review(store, at, practice=Practice(budgets=budgets))
    assert it.features[0].allowed is not None
    assert (it.features[0].allowed.name, it.features[0].allowed.nanos) == ("day", 14 * 10**9)
    assert it.allowed is not None
    assert (it.allowed.name, it.allowed.nanos) == ("all", 100 * 10**9)
    month = review(store, at, practice=Practice(budgets=budgets[1:]))
    assert month.features[0].allowed is not None
    assert month.features[0].allowed.nanos == 310 * 10**9 * 3 // 30 + 310 * 10**9 * 4 // 31
    planned = review(
        store, at, practice=Practice(budgets=budgets, plan=Plan(features={"search": FeaturePlan(usd_nanos=30 * 10**9)}))
    )
    assert planned.features[0].allowed is not None
    assert (planned.features[0].allowed.name, planned.features[0].allowed.nanos) == ("plan", 3 * 10**9 + 30 * 10**9 * 4 // 31)


def test_coverage_is_the_share_of_spend_that_carries_a_dimension() -> None:
    """By money, not by calls; what was filed as unattributed does not carry it."""
    store, at = open_store("memory://"), datetime(2026, 9, 8, tzinfo=UTC)
    put(store, model_call(at, 75, team="care"), model_call(at, 15, team="unattributed"), model_call(at, 10, feature=None))
    it = review(
        store, date(2026, 9, 7), practice=Practice(rules=[AttributionRule(dimension="team", allowed=frozenset({"care"}))])
    )
    assert [(one.dimension, one.covered_ratio) for one in it.coverage] == [("team", 0.75)]
    assert "Share of spend that says its team: 75.0%" in markdown(weekly_page(it))


def test_the_owner_is_the_policys_else_the_calls() -> None:
    """And where nobody answers, the row says so."""
    store, at = open_store("memory://"), datetime(2026, 9, 8, tzinfo=UTC)
    put(store, model_call(at, owner="ana@example.com"), model_call(at, feature="chat", owner="ben@example.com"))
    put(store, model_call(at, feature="lost"))
    practice = Practice(registry=Registry(features={"search": Duty(owner="cleo@example.com")}))
    owners = {row.feature: row.owner for row in review(store, date(2026, 9, 7), practice=practice).features}
    assert owners == {"search": "cleo@example.com", "chat": "ben@example.com", "lost": None}


def test_apps_are_features_where_calls_name_none_and_can_be_asked_for_alone() -> None:
    """`feature_of`, as everywhere."""
    store, at = open_store("memory://"), datetime(2026, 9, 8, tzinfo=UTC)
    put(store, model_call(at, feature=None), model_call(at, feature="chat"))
    assert {row.feature for row in review(store, date(2026, 9, 7)).features} == {APP, "chat"}
    material = read_material(store, "other", Calendar(), Calendar().week(date(2026, 9, 7)), Practice())
    assert weekly(material, Practice(), "other").features == ()


def test_a_rise_of_three_weeks_is_flagged_and_on_the_agenda() -> None:
    """Each week dearer than the one before it."""
    store = open_store("memory://")
    for number, nanos in enumerate((9, 5, 6, 7, 8)):
        put(store, model_call(datetime(2026, 8, 4, tzinfo=UTC) + timedelta(weeks=number), nanos * 10**9))
    it = review(store, date(2026, 9, 1))
    assert it.features[0].rising_weeks == 3
    assert "↑3" in markdown(weekly_page(it))
    assert [point.minutes for point in it.agenda if point.title == "Budgets and rises"] == [3]
    assert review(store, date(2026, 8, 25)).features[0].rising_weeks == 2


def test_names_of_others_are_text_in_every_form() -> None:
    """A feature may be called anything."""
    store = open_store("memory://")
    put(store, model_call(datetime(2026, 9, 8, tzinfo=UTC), feature="<script>alert(1)</script>|x\n# y", owner="<b>"))
    page = weekly_page(review(store, date(2026, 9, 7)))
    assert "<script>" not in html(page)
    assert "\\<script\\>alert(1)\\</script\\>\\|x \\# y" in markdown(page)
    assert "<b>" not in html(digest_page(review(store, date(2026, 9, 7)), "<b>", "<b>")).replace('<li class=""><b>', "")
    assert "://" not in html(page)  # nothing is loaded from elsewhere


def test_a_feature_of_two_apps_is_one_row_and_a_session_of_two_features_is_two_sessions() -> None:
    """Nothing is lost or counted twice; each feature's sample holds its own calls only."""
    store, at = open_store("memory://"), datetime(2026, 9, 8, tzinfo=UTC)
    other = replace(model_call(at, 7), attribution=Attribution(app="other", feature="search", session="s-2"))
    put(store, model_call(at, 5), other, model_call(at, 11, feature="chat"))
    it = review(store, date(2026, 9, 7))
    assert {row.feature: (row.nanos, row.session_count) for row in it.features} == {"search": (12, 2), "chat": (11, 1)}
    dearest = read_material(store, None, Calendar(), it.week, Practice()).dearest
    assert {name: sum(call.cost_nanos for its in some for call in its) for name, some in dearest.items()} == {
        "search": 12,
        "chat": 11,
    }


def test_a_large_week_is_read_by_its_dearest_sessions_and_says_the_same_sums(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what opportunities are looked for in differs, and the page says how much of the spend it was."""
    whole = review(shop, date(2026, 9, 7))
    monkeypatch.setattr(_material, "MOST_AT_ONCE", 0)
    monkeypatch.setattr(_material, "SAMPLED_SESSIONS", 2)
    some = review(shop, date(2026, 9, 7))
    assert [(row.feature, row.nanos, row.median_nanos, row.verdict) for row in some.features] == [
        (row.feature, row.nanos, row.median_nanos, row.verdict) for row in whole.features
    ]
    assert all(row.sampled_nanos == row.nanos for row in whole.features)
    assert all(0 < row.sampled_nanos < row.nanos for row in some.features)
    assert "of its spend" in markdown(weekly_page(some))
    assert "Seen in" not in markdown(weekly_page(whole))


def test_a_budget_of_everything_is_no_budget_of_a_feature() -> None:
    """And a week's budget over a month is scaled by its days."""
    store = open_store("memory://")
    put(store, model_call(datetime(2026, 9, 8, tzinfo=UTC)))
    budget = Budget("70 USD", name="all", period="week")
    it = review(store, date(2026, 9, 7), practice=Practice(budgets=[budget]))
    assert it.features[0].allowed is None
    assert it.allowed is not None
    assert scaled(budget, Calendar().month(date(2026, 9, 1))) == 300 * 10**9


def test_a_plan_with_a_total_says_how_much_of_the_reserve_is_used() -> None:
    """At the week's end, in the month of its last day; without a total there is no such line."""
    store = open_store("memory://")
    put(store, model_call(datetime(2026, 9, 8, tzinfo=UTC), 58 * 10**9), model_call(datetime(2026, 9, 20, tzinfo=UTC), 10**9))
    plan = Plan(total_nanos=100 * 10**9)  # 70 a month steady, so 30.33 by the end of the 13th
    it = review(store, date(2026, 9, 7), practice=Practice(plan=plan))
    assert it.room is not None
    assert (it.room.reserve_nanos, it.room.used_nanos) == (30 * 10**9, 58 * 10**9 - 70 * 10**9 * 13 // 30)
    assert "Reserve: 92% of $30.00 kept in 2026-09 for tails was used by the week's end." in markdown(weekly_page(it))
    assert it.allowed is not None
    assert (it.allowed.name, it.allowed.nanos) == ("plan", 100 * 10**9 * 7 // 30)
    assert review(store, date(2026, 9, 7)).room is None
