"""What a cap loses against what it saves; which features are worth what they cost."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from runguard_core.finops.planning import cap_impact, trade, worth_rows

USD = 10**9


def test_fifteen_per_cent_of_180_dollars_are_27_lost_to_save_90_cents() -> None:
    """The article's cap; it would pay where less than half a per cent leave."""
    assert trade(9 * USD // 10, 180 * USD, Fraction(15, 100)) == (27 * USD, Fraction(1, 200))
    assert trade(USD, 0, Fraction(1)) == (0, None), "users who bring nothing: no division by zero"


def test_a_cap_saves_what_sessions_cost_above_it_and_counts_each_user_once() -> None:
    """u1 twice, two sessions of nobody known; a session at the limit is not capped."""
    sessions = [("u1", 3 * USD), ("u1", 2 * USD), (None, 2 * USD), (None, 4 * USD), ("u2", USD)]
    found = cap_impact(sessions, USD, Fraction(60 * USD), Fraction(1, 10))
    assert (found.session_count, found.capped_count, found.user_count) == (5, 4, 3)
    assert (found.saved_nanos, found.revenue_nanos, found.lost_nanos) == (7 * USD, 180 * USD, 18 * USD)
    assert found.net_nanos == -11 * USD
    assert found.break_even == Fraction(7, 180)


@given(
    st.lists(st.tuples(st.none() | st.sampled_from(["a", "b"]), st.integers(0, 10**12))),
    st.integers(0, 10**12), st.integers(0, 10**12), st.fractions(0, 1),
)  # fmt: skip
def test_a_lower_cap_never_saves_less(sessions: list[tuple[str | None, int]], one: int, other: int, loss: Fraction) -> None:
    """And never caps fewer users."""
    low, high = (cap_impact(sessions, limit, Fraction(USD), loss) for limit in sorted((one, other)))
    assert low.saved_nanos >= high.saved_nanos
    assert low.user_count >= high.user_count
    assert low.saved_nanos <= sum(nanos for _, nanos in sessions)


def test_dear_and_little_used_is_cut_or_mended_first() -> None:
    """Four features, one of each kind, and one of which nothing is known."""
    costs = {"dear-loved": (90, 1), "dear-idle": (80, 1), "cheap-loved": (10, 1), "cheap-idle": (5, 1), "unknown": (1000, 1)}
    metrics = {name: Fraction(50 if "loved" in name else 2) for name in costs if name != "unknown"}
    rows = worth_rows(costs, metrics)
    assert [(row.feature, row.verdict) for row in rows] == [
        ("dear-idle", "cut or mend"), ("dear-loved", "keep, make cheaper"), ("cheap-loved", "keep"), ("cheap-idle", "leave"),
        ("unknown", ""),
    ]  # fmt: skip
    assert rows[0].each_nanos == 40


def test_nothing_is_divided_by_a_metric_of_nothing_and_one_feature_is_no_comparison() -> None:
    """No verdict, no cost for one."""
    row = worth_rows({"a": (5, 1)}, {"a": Fraction(0)})[0]
    assert (row.each_nanos, row.verdict) == (None, "")
    assert worth_rows({}, {}) == []
