"""Thresholds of a budget that several processes share, when they spend leases and learn of each other now and then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runguard_core import Budget, Guard
from runguard_core import events as ev
from runguard_core.errors import StoreUnavailableError
from runguard_core.stores import Leased, SqliteStore
from runguard_core.stores._sqlite_leasing import SqliteLeases
from tests.guard.spending import CENT, spend

WATCHED = Budget("1.00 USD", per=["feature"], period="day", name="b", thresholds=[0.7])


@pytest.fixture
def shared(tmp_path: Path) -> Any:
    """Guards on one file, with leases from the first call and flushes by hand."""
    made: list[Guard] = []

    def make() -> Guard:
        path = str(tmp_path / "l.db")
        store = Leased(SqliteLeases(path), f"{path}.leases", lease_after=0, background=False)
        guard = Guard(app="x", store=store, prices=CENT, budgets=[WATCHED])
        made.append(guard)
        return guard

    yield make
    for guard in made:
        guard.close()


def announced(path: Path) -> list[str]:
    store = SqliteStore(str(path))
    found = [event.facts["share"] for event in store.events() if event.kind == ev.BUDGET_THRESHOLD]
    store.close()
    return found


def test_a_mark_that_an_account_jumps_over_is_announced_once(shared: Any, tmp_path: Path) -> None:
    """Neither passes 70 cents by a call of its own: each learns of the other's thirty at its next look at the book."""
    one, other = shared(), shared()
    assert (spend(one, 5), spend(other, 5)) == (5, 5)
    one.store.tick(), other.store.tick()
    assert (spend(one, 34), spend(other, 34)) == (34, 34)
    for _ in range(3):
        for guard in (one, other):
            guard.store.tick()
            assert spend(guard, 1) == 1
    one.store.tick(), other.store.tick()
    assert announced(tmp_path / "l.db") == ["0.7"]


def test_who_comes_after_a_mark_was_passed_says_nothing(shared: Any, tmp_path: Path) -> None:
    """Its first look is no jump."""
    one = shared()
    assert spend(one, 80) == 80
    one.store.tick()
    assert announced(tmp_path / "l.db") == ["0.7"]
    other = shared()
    assert spend(other, 2) == 2
    other.store.tick()
    assert announced(tmp_path / "l.db") == ["0.7"]


def test_a_ledger_that_cannot_be_asked_is_no_reason_for_silence(make_guard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said twice is better than never."""
    guard = make_guard(prices=CENT, budgets=[WATCHED])
    assert spend(guard, 60) == 60
    other = Guard(app="test", store=guard.store, prices=CENT, budgets=[WATCHED])
    assert spend(other, 1) == 1
    other._engine.look(guard.store.accounts()[0].account.key, 61 * 10**7)
    assert spend(guard, 8) == 8
    said: list[str] = []
    other._engine.dispatcher.send = lambda events: said.extend(event.kind for event in events)  # type: ignore[method-assign]

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("memory://", "away", "wait")

    assert spend(guard, 2) == 2
    monkeypatch.setattr(guard.store, "events", away)
    assert spend(other, 1) == 1
    assert said == [ev.BUDGET_THRESHOLD]
