"""A month is closed once and never changes; what comes later is a correction in the next, and all of it adds up to the ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.finops import Calendar, Window
from runguard_core.finops.chargeback import (
    ChargingRules,
    Closing,
    LineKind,
    Method,
    PeriodStatements,
    ResidualRule,
    Shared,
    closing_event,
    period_json,
    period_statements,
    read_closings,
    reasons_to_wait,
)
from runguard_core.ledger import CallFilter, Store
from runguard_core.stores import open_store
from tests.finops.chargeback.ledger import posted, reserved, settled, spent

CALENDAR = Calendar()
AUGUST, SEPTEMBER, OCTOBER = (CALENDAR.month(date(2026, month, 1)) for month in (8, 9, 10))
RULES = ChargingRules(
    residual=ResidualRule.UNTAGGED,
    feature_teams={"chat": "care"},
    shared=(Shared("gateway", (("feature", "gateway"),), Method.CALLS),),
)
NOW = datetime(2026, 11, 25, tzinfo=UTC)


def close(store: Store, window: Window, rules: ChargingRules = RULES) -> PeriodStatements:
    """Close a month as the command does; what stands in the ledger then."""
    it = period_statements(store, window, None, rules, read_closings(store, None))
    store.announce([closing_event(window, None, it.rules, it.statements, by="ana", at=NOW)])
    return period_statements(store, window, None, rules, read_closings(store, None))


def amounts(it: PeriodStatements, kind: LineKind | None = None) -> dict[str, int]:
    """Of each party, all or the lines of a kind."""
    found = {row.party.title: row.nanos if kind is None else row.nanos_of(kind) for row in it.statements}
    return {title: nanos for title, nanos in found.items() if nanos or kind is None}


def spend(store: Store, window: Window) -> int:
    """What the ledger says of a month now."""
    found = store.totals((), CallFilter(since=window.start, until=window.end))
    return sum(total.cost_nanos for total in found.values())


@pytest.fixture
def store() -> Store:
    """August of two teams, a gateway they share, and calls that nobody is named for."""
    made = open_store("memory://")
    at = datetime(2026, 8, 15, tzinfo=UTC)
    spent(made, "a1", at, 1000, team="growth", feature="search")
    spent(made, "a2", at, 500, feature="chat")
    spent(made, "a3", at, 90, feature="gateway")
    spent(made, "a4", at, 7, feature="lost")
    spent(made, "s1", at + timedelta(days=31), 300, team="growth", feature="search")
    return made


def test_a_closed_month_never_changes(store: Store) -> None:
    """Whatever is posted, adjusted or decided later: the same page, byte for byte, with the rules of its time."""
    before = json.dumps(period_json(close(store, AUGUST)))
    store.adjust("a1", settled(1), "the provider's credit")
    spent(store, "late", AUGUST.start, 10**9, team="care")
    other = replace(RULES, residual=ResidualRule.KEEP, shared=())
    again = period_statements(store, AUGUST, None, other, read_closings(store, None))
    assert json.dumps(period_json(again)) == before
    assert again.closing is not None


def test_what_comes_after_closing_is_a_correction_in_the_next_month(store: Store) -> None:
    """To the party that owes it, also where it is a credit; then nothing is owed any more, and the next one says nothing of it."""
    august = close(store, AUGUST)
    store.adjust("a1", settled(400), "the provider's credit")
    spent(store, "late", AUGUST.start, 50, team="legal", feature="search")
    september = close(store, SEPTEMBER)
    before = {"growth": 1000 + 30, "care": 500 + 30 + 37}  # a third of the gateway each, by calls; care bears the residual
    now = {"growth": 400 + 23, "care": 500 + 23 + 29, "legal": 50 + 22}  # a quarter each now that there is a fourth call
    assert amounts(august) == before | {"unattributed": 0}
    assert amounts(september, LineKind.CORRECTION) == {team: now[team] - before.get(team, 0) for team in now}
    assert sum(amounts(september, LineKind.CORRECTION).values()) == -550
    assert september.nanos == september.spend_nanos - 550 == 300 - 550
    assert september.corrected_periods() == ("2026-08",)
    october = period_statements(store, OCTOBER, None, RULES, read_closings(store, None))
    assert october.statements == ()


def test_a_correction_is_corrected_again(store: Store) -> None:
    """Only the new part; statements of all months always add up to what the ledger says of them."""
    close(store, AUGUST)
    store.adjust("a2", settled(800), "late usage")
    close(store, SEPTEMBER)
    store.adjust("a2", settled(700), "the provider's credit")
    store.adjust("s1", settled(301), "a rounding")
    october = close(store, OCTOBER)
    assert amounts(october, LineKind.CORRECTION) == {"care": -100, "growth": 1}
    assert october.corrected_periods() == ("2026-08", "2026-09")
    closed = [it for closing in read_closings(store, None) for it in closing.statements]
    assert sum(it.nanos for it in closed) == spend(store, AUGUST) + spend(store, SEPTEMBER) + spend(store, OCTOBER)


def test_rules_of_today_do_not_reach_into_a_closed_month(store: Store) -> None:
    """A feature that changes teams, another rule, another method: no money moves in what was closed."""
    close(store, AUGUST)
    new = ChargingRules(feature_teams={"chat": "growth", "lost": "growth"}, residual=ResidualRule.KEEP)
    september = period_statements(store, SEPTEMBER, None, new, read_closings(store, None))
    assert september.corrected_periods() == ()


def test_closing_twice_is_closing_once(store: Store) -> None:
    """The second event is not written: its id is a claim on the month."""
    first = close(store, AUGUST)
    said = closing_event(AUGUST, None, RULES, (), by="ben", at=NOW + timedelta(days=1))
    assert store.announce([said]) == 0
    (closing,) = read_closings(store, None)
    assert (closing.by, closing.statements) == ("ana", first.statements)


def test_a_month_waits_until_it_is_over_and_nothing_of_it_is_in_flight(store: Store) -> None:
    """Both are named; a call of another month does not matter."""
    reserved(store, "flight", datetime(2026, 8, 31, 23, 59, tzinfo=UTC), team="care")
    reserved(store, "other", SEPTEMBER.start, team="care")
    assert "in flight, the first flight" in reasons_to_wait(store, AUGUST, None, (), NOW)[0]
    assert "not over before 2026-09-01" in reasons_to_wait(store, AUGUST, None, (), AUGUST.end - timedelta(seconds=1))[0]
    posted(store, "flight", 3)
    assert reasons_to_wait(store, AUGUST, None, (), NOW) == ()


def test_a_time_zone_that_changed_between_two_months_is_said(store: Store) -> None:
    """An hour that belongs to both months would be charged twice, one that belongs to none not at all."""
    close(store, SEPTEMBER)
    closed = read_closings(store, None)
    for zone, torn in (("UTC", 0), ("Europe/Berlin", 1), ("America/New_York", 1)):
        calendar = Calendar(zone=ZoneInfo(zone))
        for month in (8, 10):
            said = reasons_to_wait(store, calendar.month(date(2026, month, 1)), None, closed, NOW)
            assert [text.startswith("2026-09 was closed in another time zone") for text in said] == [True] * torn
    assert reasons_to_wait(store, SEPTEMBER, None, closed, NOW) == ()


def test_a_closing_survives_a_file_and_another_process(tmp_path: Path) -> None:
    """Every line, ratio and rule comes back as it was."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    first = open_store(url)
    for number, team in enumerate(("care", "growth", "growth")):
        spent(first, f"c{number}", AUGUST.start, 10**9 // 7, team=team, feature="search")
    spent(first, "g", AUGUST.start, 10**9 + 1, feature="gateway")
    it = close(first, AUGUST)
    first.close()
    second = open_store(url)
    (closing,) = read_closings(second, None)
    second.close()
    assert isinstance(closing, Closing)
    assert (closing.statements, closing.rules) == (it.statements, RULES)


ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Santiago"))
CALLS = st.lists(
    st.tuples(
        st.integers(0, 3 * 30 * 24 * 4), st.integers(0, 10**12), st.sampled_from(("care", "growth", None)),
        st.sampled_from(("chat", "gateway", "lost")),
    ),
    max_size=8,
)  # fmt: skip
LATER = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 10**12)), max_size=3)


@given(
    zone=ZONES,
    calls=CALLS,
    later=st.tuples(LATER, LATER, LATER),
    residual=st.sampled_from(ResidualRule),
    method=st.sampled_from(Method),
)
def test_the_books_of_all_months_add_up_to_the_ledger(
    zone: str,
    calls: list[tuple[int, int, str | None, str]],
    later: tuple[list[tuple[int, int]], ...],
    residual: ResidualRule,
    method: Method,
) -> None:
    """Three months in which clocks change, in any time zone, closed one after the other, calls corrected up and down between."""
    calendar, store = Calendar(zone=ZoneInfo(zone)), open_store("memory://")
    months = [calendar.month(date(2026, month, 1)) for month in (9, 10, 11)]
    rules = replace(RULES, residual=residual, shared=(Shared("gateway", (("feature", "gateway"),), method),))
    for number, (quarters, nanos, team, feature) in enumerate(calls):
        spent(store, f"c{number}", months[0].start + timedelta(minutes=15 * quarters), nanos, team=team, feature=feature)
    for month, changes in zip(months, later, strict=True):
        for number, nanos in changes:
            if number < len(calls):
                store.adjust(f"c{number}", settled(nanos), "new evidence")
        it = close(store, month, rules)
        assert it.spend_nanos == spend(store, month)
        closed = [row.nanos for closing in read_closings(store, None) for row in closing.statements]
        past = [one for one in months if one.start <= month.start]
        assert sum(closed) == sum(spend(store, one) for one in past)
