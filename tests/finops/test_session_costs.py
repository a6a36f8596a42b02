"""What sessions cost in a span, and percentiles of it."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runguard_core.attribution import feature_of
from runguard_core.finops import Calendar, percentile, session_costs
from runguard_core.ledger import CallFilter, Store, conversation_of
from tests.finops.conftest import SHOP


def test_costs_of_sessions_add_up_to_the_spend_of_the_span(shop: Store) -> None:
    """Call by call, in every week; a session over midnight on Sunday counts in both."""
    calendar, both = Calendar(), 0
    for number in range(6):
        week = calendar.week(date(2026, 8, 3) + timedelta(weeks=number))
        costs = session_costs(shop, SHOP, week.start, week.end)
        calls = shop.calls(CallFilter(app=SHOP, since=week.start, until=week.end))
        truth: dict[tuple[str, str], int] = {}
        for call in calls:
            key = (feature_of(call.attribution), conversation_of(call))
            truth[key] = truth.get(key, 0) + call.cost_nanos
        assert {(cost.feature, cost.session): cost.nanos for cost in costs} == truth
        both += len(costs)
    assert both >= len({conversation_of(call) for call in shop.calls(CallFilter(app=SHOP))}) > 500


@given(values=st.lists(st.integers(0, 100), min_size=1), share=st.floats(0, 1))
def test_a_percentile_is_the_smallest_value_that_the_share_does_not_exceed(values: list[int], share: float) -> None:
    """Nearest rank, by counting."""
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert all(sum(value <= less for value in values) < share * len(values) for less in values if less < found)


def test_there_is_no_percentile_of_nothing() -> None:
    """None, which is not 0."""
    assert percentile([], 0.5) is None
