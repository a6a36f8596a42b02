"""Sprint, quarter and digest: sums that add up, directions, what was shipped, what to change, one owner's screen."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from runguard_core import events as ev
from runguard_core.anomalies import Change, Episode, Gravity, Kind, What
from runguard_core.attribution import feature_of
from runguard_core.budgets import Budget
from runguard_core.finops import Calendar
from runguard_core.finops.actions import Size, finishing, opening, read_actions
from runguard_core.finops.owners import cases, resolved_event
from runguard_core.finops.planning import FeaturePlan, Plan
from runguard_core.finops.reviews import (
    Practice,
    any_anomaly,
    digest_document,
    digest_page,
    html,
    markdown,
    owners_of,
    quarter_document,
    quarter_page,
    read_material,
    read_quarter,
    read_sprint,
    sprint_document,
    sprint_page,
    weekly,
    weekly_document,
    weekly_page,
    with_agenda,
)
from runguard_core.guard import anomaly_event, label_event
from runguard_core.ledger import CallFilter, Store
from runguard_core.stores import open_store
from tests.finops.conftest import SHOP
from tests.finops.reviews.ledgers import APP, model_call, put

CALENDAR = Calendar(sprint_start=date(2026, 8, 3))
NOW = datetime(2026, 11, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def episode(at: datetime, feature: str = "search", impact: int = 3 * 10**9) -> Episode:
    seconds = at.timestamp()
    return Episode(
        id=f"an-{feature}-{at:%m%d}", kind=Kind.SPEND_RATE, gravity=Gravity.MAJOR, feature=feature, started_at=seconds,
        opened_at=seconds, seen_at=seconds + 60, ended_at=seconds + 60, expected_nanos=10**9, seen_nanos=10**9 + impact,
        impact_nanos=impact, evidence=f"feature {feature}: its hour stood out",
    )  # fmt: skip


def announce(store: Store, one: Episode) -> None:
    store.announce([anomaly_event(Change(what, one, one.opened_at), APP) for what in (What.OPENED, What.CLOSED)])


def resolve(store: Store, episode_id: str, by: str, cause: str) -> None:
    case = next(case for case in cases(store.events()) if case.id == episode_id)
    store.announce([resolved_event(case, by, cause, NOW)])


def test_a_sprint_is_the_sum_of_its_sessions_by_agent_and_by_feature(shop: Store) -> None:
    """This one and the one before it, to the nano-dollar; both ways of splitting it agree."""
    sprint = CALENDAR.sprint(date(2026, 8, 20))
    it = read_sprint(shop, SHOP, CALENDAR, sprint, Practice())
    for window, side in ((it.sprint, "now"), (it.before, "before")):
        truth: dict[str, int] = {}
        for call in shop.calls(CallFilter(app=SHOP, since=window.start, until=window.end)):
            truth[feature_of(call.attribution)] = truth.get(feature_of(call.attribution), 0) + call.cost_nanos
        assert {row.name: getattr(row, side).nanos for row in it.features} == truth
        assert sum(getattr(row, side).nanos for row in it.agents) == sum(truth.values()) > 0
    assert it.costs.now.nanos == sum(row.now.nanos for row in it.features)
    again = read_sprint(shop, SHOP, CALENDAR, sprint, Practice())
    assert html(sprint_page(it)) == html(sprint_page(again))
    assert json.dumps(sprint_document(it)) == json.dumps(sprint_document(again))


def test_a_sprint_names_releases_that_are_new_in_it_and_causes_of_its_anomalies() -> None:
    """A release of the sprint before is not shipped again."""
    store, start = open_store("memory://"), datetime(2026, 8, 31, 9, tzinfo=UTC)
    put(
        store,
        model_call(start - 3 * DAY, release="1.0"),
        model_call(start, release="1.0"),
        model_call(start + DAY, release="1.1"),
    )
    announce(store, episode(start + DAY))
    announce(store, episode(start - DAY, "chat"))
    resolve(store, "an-search-0901", "ana", "the new prompt")
    it = read_sprint(store, APP, CALENDAR, CALENDAR.sprint(start), Practice())
    assert (it.releases, len(it.anomalies), it.anomaly_count_before) == (("1.1",), 1, 1)
    text = markdown(sprint_page(it))
    assert "release 1.1" in text
    assert "Cause: the new prompt (ana)" in text
    assert sum(point["minutes"] for point in sprint_document(it)["agenda"]) <= 10


def test_the_claim_of_three_months_is_measured_by_session() -> None:
    """Half the cost per session at twice the traffic: spend says nothing, sessions say it."""
    store, start = open_store("memory://"), datetime(2026, 8, 31, 9, tzinfo=UTC)
    for week in range(-12, 2):
        for number in range(10):
            put(store, model_call(start + 7 * week * DAY, 2 * 10**9 if week < -6 else 10**9, session=f"{week}-{number}"))
    sprint = CALENDAR.sprint(start + 7 * DAY)
    it = read_sprint(store, APP, CALENDAR, sprint, Practice())
    assert it.claim.saving.saved_ratio == 0.5
    assert "cost per session fell by 50%" in markdown(sprint_page(it))
    empty = read_sprint(open_store("memory://"), APP, CALENDAR, sprint, Practice())
    assert "not measured: fewer than 8 whole weeks" in markdown(sprint_page(empty))


def test_actions_and_wins_are_in_the_review_of_the_week_and_of_the_sprint() -> None:
    """What is overdue first; what was shipped in the time, and what it saved with its interval."""
    store, monday = open_store("memory://"), datetime(2026, 9, 7, 9, tzinfo=UTC)
    for day in range(-27, 7):
        for number in range(8):
            at, nanos = monday + day * DAY + number * timedelta(minutes=9), (2 if day < 0 else 1) * 10**9 + number * 10**6
            put(store, model_call(at, nanos, session=f"{day}-{number}"))
    act(store, "Shorter prompts", "ana@x.org", monday - 20 * DAY, monday)
    act(store, "Cheaper model", "ben@x.org", monday - 20 * DAY, None)
    it = with_agenda(weekly(read_material(store, None, CALENDAR, CALENDAR.week(monday), Practice()), Practice()))
    assert ([one.title for one in it.backlog.standing.overdue], len(it.backlog.wins)) == (["Cheaper model"], 1)
    text = markdown(weekly_page(it))
    assert "overdue since 1 Sep: Cheaper model" in text
    assert "Shorter prompts (search, ana): saved $" in text
    assert [point.minutes for point in it.agenda if point.title == "Actions and wins"] == [2]
    assert [one["title"] for one in weekly_document(it)["actions"]] == ["Cheaper model", "Shorter prompts"]
    assert "done: Shorter prompts" in markdown(
        sprint_page(read_sprint(store, APP, CALENDAR, CALENDAR.sprint(monday), Practice()))
    )
    assert [one.title for one in it.backlog.owned_by("ben@x.org").standing.open] == ["Cheaper model"]


def act(store: Store, title: str, owner: str, at: datetime, shipped: datetime | None) -> None:
    said = opening(
        title, (), app=APP, owner=owner, size=Size.SMALL, deadline=date(2026, 9, 1), check_on=None, by=owner, at=at, feature="search"
    )  # fmt: skip
    store.announce([said])
    action = next(one for one in read_actions(store) if one.title == title)
    if shipped is not None:
        store.announce([finishing(action, shipped_at=shipped, by=owner, at=NOW, credit=owner)])


def test_an_agent_whose_sessions_became_dearer_is_on_the_agenda() -> None:
    """By the median of its sessions, not by its spend."""
    store, start = open_store("memory://"), datetime(2026, 8, 31, 9, tzinfo=UTC)
    for number in range(40):
        put(store, model_call(start - 7 * DAY, 10**9 + number, session=f"a{number}", agent="planner"))
        put(store, model_call(start, 2 * 10**9 + number, session=f"b{number}", agent="planner"))
        put(store, model_call(start - 7 * DAY, 10**9 + number, session=f"c{number}", agent="writer"))
    it = read_sprint(store, APP, CALENDAR, CALENDAR.sprint(start), Practice())
    assert {row.name: row.went.value for row in it.agents} == {"planner": "up", "writer": "unknown"}
    assert "dearer by the session: planner" in markdown(sprint_page(it))


def test_a_quarter_holds_actual_against_budget_and_proposes_a_month() -> None:
    """The last month that is over, as 70 % of the budget; a month that still runs is no pace."""
    store = open_store("memory://")
    for month, usd in ((8, 10), (9, 70), (10, 1)):
        put(store, model_call(datetime(2026, month, 2, tzinfo=UTC), usd * 10**9, session=f"s{month}"))
    budgets = [Budget("80 USD", name="month", per="feature", period="month")]
    quarter = CALENDAR.quarter(date(2026, 9, 1))
    it = read_quarter(store, APP, CALENDAR, quarter, Practice(budgets=budgets), NOW)
    (row,) = it.features
    assert (row.nanos, [month.nanos for month in row.months]) == (80 * 10**9, [0, 10 * 10**9, 70 * 10**9])
    assert row.allowed is not None
    assert (row.allowed.nanos, row.proposed_nanos, row.advice) == (240 * 10**9, 100 * 10**9, "raise")
    early = read_quarter(store, APP, CALENDAR, quarter, Practice(budgets=budgets), datetime(2026, 9, 20, tzinfo=UTC))
    assert (early.features[0].proposed_nanos, early.features[0].advice) == (14_300_000_000, "lower")
    assert read_quarter(store, APP, CALENDAR, quarter, Practice(), NOW).features[0].advice == "set"
    near = Practice(budgets=[Budget("95 USD", name="month", per="feature", period="month")])
    assert read_quarter(store, APP, CALENDAR, quarter, near, NOW).features[0].advice == "keep"


def test_a_quarter_shows_medians_by_month_and_planned_features() -> None:
    """In a fiscal year too."""
    store, calendar = open_store("memory://"), Calendar(year_starts_in=2)
    for month, nanos in ((8, 10**9), (9, 2 * 10**9), (10, 3 * 10**9)):
        put(store, model_call(datetime(2026, month, 5, tzinfo=UTC), nanos, session=f"s{month}"))
    plan = Plan(
        features={"voice": FeaturePlan(session_nanos=2 * 10**8, session_count=3000), "search": FeaturePlan(usd_nanos=10**9)}
    )
    it = read_quarter(store, APP, calendar, calendar.quarter(date(2026, 9, 1)), Practice(plan=plan), NOW)
    assert (it.quarter.name, [month.name for month in it.months]) == ("2026-Q3", ["2026-08", "2026-09", "2026-10"])
    found = quarter_document(it)
    assert [month["median_nanos"] for month in found["features"][0]["months"]] == ["1000000000", "2000000000", "3000000000"]
    assert found["features"][0]["session_change_ratio"] == 2.0
    assert "voice: $600 a month" in markdown(quarter_page(it))
    empty = read_quarter(open_store("memory://"), APP, calendar, it.quarter, Practice(), NOW)
    assert "$0 in 0 sessions" in markdown(quarter_page(empty))


def test_a_digest_is_its_owners_features_and_nothing_else() -> None:
    """Every owner has one; together they hold every owned feature once."""
    store, at = open_store("memory://"), datetime(2026, 9, 8, tzinfo=UTC)
    for feature, owner in (("search", "ana@x.org"), ("chat", "ana@x.org"), ("code", "ben@x.org"), ("lost", None)):
        put(store, model_call(at, feature=feature, owner=owner))
    announce(store, episode(at, "code"))
    it = with_agenda(weekly(read_material(store, None, CALENDAR, CALENDAR.week(at), Practice()), Practice()))
    assert owners_of(it) == ("ana@x.org", "ben@x.org")
    found = {owner: digest_document(it, owner) for owner in owners_of(it)}
    assert {owner: [row["feature"] for row in one["features"]] for owner, one in found.items()} == {
        "ana@x.org": ["chat", "search"], "ben@x.org": ["code"],
    }  # fmt: skip
    assert [len(one["anomalies"]) for one in found.values()] == [0, 1]
    page = markdown(digest_page(it, "ben@x.org", "Ben"))
    assert "LLM spend of Ben" in page
    assert "its hour stood out" in page
    assert "search" not in page


def test_anomalies_of_the_week_have_their_cause_and_state_and_older_ones_stay_until_settled() -> None:
    """Asked "any anomaly this week?", the page answers exactly."""
    store, monday = open_store("memory://"), datetime(2026, 9, 7, 9, tzinfo=UTC)
    put(store, model_call(monday, owner="ana@x.org"))
    week = CALENDAR.week(monday)
    quiet = weekly(read_material(store, None, CALENDAR, week, Practice()), Practice())
    assert any_anomaly(quiet) == "No anomaly was announced this week."
    for one in (
        episode(monday - 9 * DAY, "chat"),
        episode(monday - 7 * DAY, "code"),
        episode(monday),
        episode(monday + 7 * DAY, "next"),
    ):
        announce(store, one)
    store.announce([label_event(episode(monday - 7 * DAY, "code"), "planned", "eva", "launch", APP, NOW)])
    resolve(store, "an-search-0907", "ana", "a retry loop")
    it = with_agenda(weekly(read_material(store, None, CALENDAR, week, Practice()), Practice()))
    assert [(one.episode.feature, one.state, one.case.cause, one.case.resolved_by) for one in it.anomalies] == [
        ("search", "resolved", "a retry loop", "ana")
    ]
    assert [one.episode.feature for one in it.left_over] == ["chat"]
    assert any_anomaly(it) == "1 anomaly this week, $3.00 above the expected, all settled."
    assert "1 older one without a cause since 29 Aug" in markdown(weekly_page(it))
    (row,) = it.features
    assert (row.anomaly_count, row.anomaly_count_before) == (1, 0)
    assert ev.ANOMALY_LABELLED in {event.kind for event in store.events()}
