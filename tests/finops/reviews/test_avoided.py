"""What stops avoided: comparable sessions by brute force, and nothing where there are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median_low

from hypothesis import given, settings
from hypothesis import strategies as st

from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.finops import Calendar
from runguard_core.finops.reviews import Avoided, Practice, avoided, read_material, weekly, weekly_page, with_agenda
from runguard_core.ledger import Event, Store
from runguard_core.stores import open_store
from tests.finops.reviews.ledgers import APP, model_call, put

MONDAY = datetime(2026, 9, 7, 9, tzinfo=UTC)


def stop(at: datetime, session: str, feature: str = "search", kind: str = ev.RUN_TRIPPED, **facts: object) -> Event:
    who = Attribution(app=APP, feature=feature, session=session, run=f"{session}-r")
    return ev.event(kind, ev.STOP, "the same call three times", who, at, **{"rule": "repeat", **facts})


def stopped_in(store: Store) -> tuple[Avoided, ...]:
    return avoided(read_material(store, None, Calendar(), Calendar().week(MONDAY), Practice()))


@settings(max_examples=40, deadline=None)
@given(others=st.lists(st.integers(1, 20), min_size=5, max_size=30), spent=st.integers(1, 12), later=st.integers(0, 6))
def test_the_estimate_is_the_median_of_what_comparable_sessions_still_spent(others: list[int], spent: int, later: int) -> None:
    """Recomputed by hand, less what the session spent after its stop all the same; never less than nothing."""
    store = open_store("memory://")
    for number, cost in enumerate(others):
        put(store, model_call(MONDAY - timedelta(days=number % 25), cost, session=f"o{number}"))
    put(store, model_call(MONDAY, spent, session="bad"))
    if later:
        put(store, model_call(MONDAY + timedelta(hours=2), later, session="bad"))
    store.announce([stop(MONDAY + timedelta(minutes=1), "bad")])
    (one,) = stopped_in(store)
    rest = [cost - spent for cost in others if cost >= spent]
    assert (one.spent_nanos, one.later_nanos) == (spent, later)
    if len(rest) < 5:
        assert (one.peer_count, one.nanos, one.most_nanos) == (0, 0, 0)
    else:
        assert (one.peer_count, one.nanos) == (len(rest), max(median_low(rest) - later, 0))


def test_a_session_is_stopped_once_however_often_it_is_refused() -> None:
    """A stopped session avoids no other; a call that only waited for others was no stop; last week's stops are last week's."""
    store = open_store("memory://")
    put(store, model_call(MONDAY, 5, session="bad"))
    store.announce([
        stop(MONDAY, "waits", kind=ev.CALL_REFUSED, budget="day", retry="when pending calls settle"),
        stop(MONDAY + timedelta(minutes=1), "bad", kind=ev.CALL_REFUSED, budget="session", retry="never"),
        stop(MONDAY + timedelta(minutes=2), "bad"), stop(MONDAY - timedelta(days=7), "before"),
    ])  # fmt: skip
    (one,) = stopped_in(store)
    assert (one.session, one.rule) == ("bad", "session")


def test_where_the_feature_has_too_few_all_features_are_compared_with() -> None:
    """And stopped sessions are never compared with."""
    store = open_store("memory://")
    for number in range(5):
        put(store, model_call(MONDAY, 10, session=f"c{number}", feature="chat"))
        put(store, model_call(MONDAY, 10**9, session=f"t{number}", feature="chat"))
        store.announce([stop(MONDAY + timedelta(minutes=1), f"t{number}", "chat")])
    put(store, model_call(MONDAY, 4, session="bad"))
    store.announce([stop(MONDAY + timedelta(minutes=1), "bad")])
    for number in range(5):  # stopped the week before: what they would have cost is not known either
        put(store, model_call(MONDAY - timedelta(days=6), 10**9, session=f"w{number}", feature="chat"))
        store.announce([stop(MONDAY - timedelta(days=6), f"w{number}", "chat")])
    one = next(one for one in stopped_in(store) if one.session == "bad")
    assert (one.peer_count, one.nanos) == (5, 6)


def test_the_page_calls_it_an_estimate_and_states_the_rule() -> None:
    """Beside the figure, in every review."""
    store = open_store("memory://")
    for number in range(6):
        put(store, model_call(MONDAY, 8 * 10**9, session=f"o{number}"))
    put(store, model_call(MONDAY, 5 * 10**8, session="bad"))
    store.announce([stop(MONDAY + timedelta(minutes=1), "bad")])
    page = weekly_page(
        with_agenda(weekly(read_material(store, None, Calendar(), Calendar().week(MONDAY), Practice()), Practice()))
    )
    assert "The breaker stopped 1 session; that avoided about $7.50, an estimate; at the 95th percentile $7.50." in [
        point.head for point in page.lead
    ]
    assert any("a stopped session avoids no other session" in rule for rule in page.rules)
