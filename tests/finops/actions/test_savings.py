"""What actions saved: traffic does not fake it, nothing is credited twice, and the interval holds the truth as often as it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.finops import Calendar, t_quantile
from runguard_core.finops.actions import (
    CONFIDENCE_RATIO,
    Action,
    ActionState,
    Claim,
    Size,
    Spans,
    claim,
    measure,
    saving_json,
    saving_of,
    spans_of,
    wins,
)
from runguard_core.ledger import Store
from runguard_core.stores import open_store
from runguard_core.testing import FEATURES, Incident, IncidentKind, make_traffic, write_traffic

START = datetime(2026, 8, 3, tzinfo=UTC)
SHIPPED = START + timedelta(weeks=4)
NOW = START + timedelta(weeks=8)
SPANS = Spans(START, SHIPPED, SHIPPED, NOW)


def done(name: str = "ac-1", shipped: datetime = SHIPPED, feature: str | None = "search", **more: object) -> Action:
    """An action that is done."""
    action = Action(
        id=name, app="shop", title="Shorten the prompt", feature=feature, agent=None, owner="ana", size=Size.SMALL,
        deadline=date(2026, 9, 1), check_on=None, opened_at=START, opened_by="ana", state=ActionState.DONE, ended_at=shipped,
        shipped_at=shipped, credit="ana",
    )  # fmt: skip
    return replace(action, **more)  # type: ignore[arg-type]  # as the test says


def costs(amounts: list[int], side: str, feature: str = "search") -> dict[tuple[str, str], int]:
    """Sessions of one side."""
    return {(feature, f"{side}-{number}"): nanos for number, nanos in enumerate(amounts)}


@given(amounts=st.lists(st.integers(0, 10**12), min_size=1, max_size=30), times=st.integers(1, 5))
def test_more_of_the_same_sessions_saves_nothing(amounts: list[int], times: int) -> None:
    """Twice the traffic, or a fifth of it, at the same cost per session: zero, to the nano-USD."""
    one, many = costs(amounts, "a"), costs(amounts * times, "b")
    assert saving_of(SPANS, one, many).saved_nanos == 0
    assert saving_of(SPANS, many, one).saved_nanos == 0


@given(
    old=st.lists(st.integers(0, 10**12), min_size=1, max_size=20), new=st.lists(st.integers(0, 10**12), min_size=1, max_size=20)
)
def test_a_saving_is_cost_per_session_before_times_sessions_after_less_what_they_cost(old: list[int], new: list[int]) -> None:
    """To the nearest nano-USD, and the interval is around it."""
    saving = saving_of(SPANS, costs(old, "a"), costs(new, "b"))
    assert saving.saved_nanos is not None
    assert abs(saving.saved_nanos * len(old) - (sum(old) * len(new) - sum(new) * len(old))) * 2 <= len(old)
    assert saving.expected_nanos - saving.actual_nanos == saving.saved_nanos
    assert (saving.low_nanos is None) == (min(len(old), len(new)) < 10)
    if saving.low_nanos is not None and saving.high_nanos is not None:
        assert saving.low_nanos + saving.high_nanos == 2 * saving.saved_nanos


def test_a_change_of_the_mix_of_features_saves_nothing() -> None:
    """Cheap sessions in place of dear ones are no saving: each feature is compared with itself."""
    before = costs([100] * 90, "a", "chat") | costs([1000] * 10, "a", "review")
    after = costs([100] * 10, "b", "chat") | costs([1000] * 90, "b", "review") | costs([7], "b", "new")
    saving = saving_of(SPANS, before, after)
    assert (saving.saved_nanos, saving.other_nanos) == (0, 7)


def test_a_feature_with_few_sessions_is_left_out_where_others_have_enough() -> None:
    """Three sessions would take the interval from all; alone they are compared without one."""
    big, small = costs([10**9] * 12, "a", "chat"), costs([5] * 3, "a", "rare")
    after = costs([10**8] * 12, "b", "chat") | costs([4] * 3, "b", "rare")
    saving = saving_of(SPANS, big | small, after)
    assert [it.feature for it in saving.strata] == ["chat"]
    assert (saving.other_nanos, saving.is_clear) == (12, True)
    assert [it.feature for it in saving_of(SPANS, small, after).strata] == ["rare"]


def test_a_session_on_both_sides_is_on_neither() -> None:
    """Half a session is no session."""
    both = {("search", "s"): 500}
    saving = saving_of(SPANS, costs([10, 10], "a") | both, costs([10, 10], "b") | both)
    assert (saving.saved_nanos, saving.session_count, saving.spanning_count) == (0, 2, 1)


def test_without_sessions_there_is_no_saving_and_it_says_why() -> None:
    """None is not 0."""
    assert saving_of(SPANS, {}, costs([1], "b")).why_not.startswith("no session before")
    assert saving_of(SPANS, costs([1], "a"), {}).why_not.startswith("no session after")
    assert saving_of(SPANS, costs([1], "a"), {}).saved_nanos is None
    assert "too few" in saving_of(SPANS, costs([1], "a"), costs([1], "b")).why_not


def test_the_interval_holds_the_truth_nine_times_in_ten() -> None:
    """Skewed costs as sessions have them (log-normal, sigma 1), 80 sessions a side, a saving of 30 %, 400 times."""
    dice, held = Random(5), 0
    for _ in range(400):
        before = costs([round(1e7 * dice.lognormvariate(0, 1)) for _ in range(80)], "a")
        after = costs([round(0.7e7 * dice.lognormvariate(0, 1)) for _ in range(80)], "b")
        saving = saving_of(SPANS, before, after)
        truth = 80 * 0.3e7 * 1.6487
        assert saving.low_nanos is not None
        assert saving.high_nanos is not None
        held += saving.low_nanos <= truth <= saving.high_nanos
    assert 0.87 <= held / 400 <= 0.93


@pytest.mark.parametrize(("freedom", "known"), [(5, 2.015), (10, 1.812), (30, 1.697), (1e9, 1.645)])
def test_quantiles_of_t_are_those_of_the_tables(freedom: float, known: float) -> None:
    """Two-sided 90 %."""
    assert t_quantile(freedom, CONFIDENCE_RATIO) == pytest.approx(known, abs=0.002)


def test_two_actions_on_one_thing_share_no_time() -> None:
    """The first one's stretch after ends where the second one's begins, so that no saving is credited twice."""
    first, second = done("ac-1", SHIPPED), done("ac-2", SHIPPED + timedelta(days=10))
    one, two = spans_of(first, [first, second], NOW), spans_of(second, [first, second], NOW)
    assert one.after_end == two.after_start == second.shipped_at
    assert two.before_start == SHIPPED
    assert (one.neighbours, two.neighbours) == (("ac-2",), ("ac-1",))
    other = done("ac-3", SHIPPED + timedelta(days=10), feature="chat")
    assert spans_of(first, [first, other], NOW).neighbours == ()
    assert spans_of(first, [first, done("ac-4", SHIPPED + timedelta(days=1), feature=None)], NOW).neighbours == ("ac-4",)
    assert "together with ac-5" in spans_of(first, [first, done("ac-5")], NOW).why_not


@pytest.fixture(scope="module")
def shipped_shop() -> tuple[Store, int]:
    """Eight weeks of search and support; the prompt of search is twice too long until SHIPPED. And what one day of that cost."""
    long_prompt = Incident(kind=IncidentKind.PROMPT_REGRESSION, feature="search", started_at=START, ended_at=SHIPPED)
    features = (replace(FEATURES[2], growth_per_week=0.1), FEATURES[0])
    traffic = make_traffic(START, 56, seed=11, scale=0.25, features=features, incidents=[long_prompt])
    store = open_store("memory://")
    write_traffic(store, traffic.calls, "shop")
    return store, traffic.incidents[0].excess_nanos


def test_a_shorter_prompt_saves_what_it_had_cost_although_traffic_grows(shipped_shop: tuple[Store, int]) -> None:
    """The truth is known: the excess per session before, times the sessions after. Spend alone shows a fraction of it."""
    store, excess = shipped_shop
    saving = measure(store, done(), [done()], NOW)
    (search,) = saving.strata
    truth = excess * search.after.count // search.before.count
    assert saving.low_nanos is not None
    assert saving.high_nanos is not None
    assert saving.is_clear
    assert saving.low_nanos < truth < saving.high_nanos
    assert search.after.count > 1.3 * search.before.count
    assert search.before.nanos - search.after.nanos < 0.75 * truth  # what spend alone would show
    support = measure(store, done(feature="support-chat"), [], NOW)
    assert not support.is_clear
    assert saving_json(saving) == saving_json(measure(store, done(), [done()], NOW))


def test_the_wins_of_weeks_add_up_to_the_win_of_the_month(shipped_shop: tuple[Store, int]) -> None:
    """A review shows what was saved in its own week; a session over midnight on Sunday is the only difference."""
    store, _ = shipped_shop
    weeks = [wins(store, [done()], SHIPPED + timedelta(weeks=n), SHIPPED + timedelta(weeks=n + 1)) for n in range(4)]
    (whole,) = wins(store, [done()], SHIPPED, NOW)
    parts = [win.saving.saved_nanos or 0 for week in weeks for win in week]
    assert len(parts) == 4
    assert whole.saving.saved_nanos is not None
    assert sum(parts) == pytest.approx(whole.saving.saved_nanos, rel=0.03)
    assert wins(store, [done()], NOW, NOW + timedelta(weeks=1)) == ()
    assert wins(store, [done()], START, SHIPPED) == ()


def test_the_claim_compares_now_with_the_first_weeks(shipped_shop: tuple[Store, int]) -> None:
    """Cost per session, feature by feature, with the days between; too little time is no verdict."""
    store, _ = shipped_shop
    found = claim(store, "shop", NOW + timedelta(days=2), Calendar())
    assert found.saving.spans == SPANS
    assert found.apart_days == 56
    assert found.saving.saved_ratio is not None
    assert found.saving.saved_ratio > 0.2
    assert "within three months" in found.verdict
    assert "not measured" in claim(store, "shop", NOW - timedelta(days=2), Calendar()).verdict
    assert "not measured" in claim(open_store("memory://"), "shop", NOW, Calendar()).verdict


@pytest.mark.parametrize(
    ("before", "after", "days", "wanted"),
    [
        (100, 70, 84, "fell by 30% within three months: as claimed"), (100, 50, 84, "more than claimed"),
        (100, 90, 84, "less than the claimed 20 to 40 %"), (100, 70, 112, "in 112 days, more than three months"),
        (100, 110, 84, "not so: cost per session rose by 10%"),
    ],
)  # fmt: skip
def test_the_verdict_on_the_claim_says_what_was_found(before: int, after: int, days: int, wanted: str) -> None:
    """Also where it is not so, or may be chance."""
    saving = saving_of(SPANS, costs([before] * 20, "a"), costs([after] * 20, "b"))
    assert wanted in Claim(saving=saving, apart_days=days).verdict
    unclear = replace(saving, low_nanos=-(10**9), high_nanos=10**9)
    assert "may be chance" in Claim(saving=unclear, apart_days=days).verdict


def test_a_change_for_the_worse_is_a_negative_saving() -> None:
    """Dearer is said as such."""
    saving = saving_of(SPANS, costs([10**9] * 20, "a"), costs([2 * 10**9] * 20, "b"))
    assert saving.saved_nanos == -20 * 10**9
    assert not saving.is_clear
    assert saving.saved_ratio == -1.0
