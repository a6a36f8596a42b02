"""Dropped calls leave their sums: nothing that is asked for by whole quarters of an hour changes."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runguard_core.fleet import ship
from runguard_core.ids import new_id
from runguard_core.ledger import (
    CallFilter,
    KeepingStore,
)
from runguard_core.stores import MemoryStore
from runguard_core.stores._sqlite_fleet import SqliteFleet
from runguard_core.stores._sqlite_keeping import SqliteKeeper
from tests.stores.keeping_values import CUT, T0, an_event, enter, fill, sums


def test_dropping_old_calls_changes_no_sum_no_balance_and_no_session(keeper: KeepingStore) -> None:
    """Whatever the calls were; twice, and with more calls after it."""
    fill(keeper)
    keeper.expire(T0)
    before = sums(keeper)
    found = keeper.prune(CUT, lambda _: an_event("first"))
    assert sums(keeper) == before
    assert keeper.verify() == ()
    kept = keeper.calls(CallFilter(until=CUT))
    assert kept and all(call.settlement is None for call in kept)  # what is in flight is not dropped
    assert found.call_count > 20 < found.line_count and found.sum_count > 0
    enter(keeper, T0 + timedelta(hours=1), session="s1", run="late")
    before = sums(keeper)
    keeper.prune(CUT, lambda _: an_event("second"))
    assert sums(keeper) == before
    assert keeper.verify() == ()
    assert [event.id for event in keeper.events()] == ["first", "second"]
    assert keeper.prune(CUT, lambda _: an_event("third")).call_count == 0


def test_a_dry_run_says_as_much_and_drops_nothing(keeper: KeepingStore) -> None:
    """Counts are those of the run."""
    fill(keeper)
    dry = keeper.prune(CUT, lambda _: an_event("never"), dry_run=True)
    count = len(keeper.calls(CallFilter()))
    wet = keeper.prune(CUT, lambda _: an_event("done"))
    assert (dry.call_count, dry.line_count) == (wet.call_count, wet.line_count)
    assert len(keeper.calls(CallFilter())) == count - wet.call_count
    assert [event.id for event in keeper.events()] == ["done"]


CALL = st.tuples(
    st.integers(0, 3000), st.sampled_from(["post", "adjust", "void", "assume"]), st.integers(0, 10**6),
    st.sampled_from(["ann", "bob", None]), st.sampled_from(["s1", "s2", None]), st.sampled_from(["f", "g"]),
)  # fmt: skip


@given(calls=st.lists(CALL, max_size=14), cut=st.integers(0, 3000), edges=st.tuples(st.integers(0, 3000), st.integers(0, 3000)))
@settings(deadline=None, max_examples=40)
def test_a_file_answers_as_the_specification_does_whatever_was_dropped(
    tmp_path_factory: pytest.TempPathFactory, calls: list[Any], cut: int, edges: tuple[int, int]
) -> None:
    """Windows at any minute too: a dropped call then stands at the first of its quarter of an hour."""
    stores: list[KeepingStore] = [MemoryStore(), SqliteKeeper(str(tmp_path_factory.mktemp("k") / "b.db"))]
    ids = [new_id() for _ in calls]
    for store in stores:
        for (minute, end, nanos, user, session, feature), call_id in zip(calls, ids, strict=True):
            who = {"user": user, "session": session, "run": None, "feature": feature}
            enter(store, T0 + timedelta(minutes=minute), end, nanos, call_id=call_id, **who)
        whole = sums(store, (None, None))
        store.prune(T0 + timedelta(minutes=cut), lambda _: an_event("e"))
        assert store.verify() == ()
        assert sums(store, (None, None)) == whole
    since, until = (T0 + timedelta(minutes=edge) for edge in edges)
    windows = ((since, None), (None, until), (since, until))
    memory, file = (sums(store, *windows) for store in stores)
    assert memory == file
    for store in stores:
        store.close()


def test_a_carried_sum_that_was_changed_is_found(tmp_path: Path) -> None:
    """By what hangs together with it: quarters, runs, accounts, and the sum of all."""
    store = SqliteKeeper(str(tmp_path / "book.db"))
    fill(store)
    store.prune(CUT, lambda _: an_event("e"))
    store.close()
    for change in (
        "UPDATE carried SET cost_nanos = cost_nanos + 1 WHERE cost_nanos = (SELECT max(cost_nanos) FROM carried)",
        "UPDATE carried_account SET posted = posted + 1",
        "UPDATE quarter_total SET cost_nanos = cost_nanos + 1 WHERE quarter = (SELECT min(quarter) FROM carried)",
        "DELETE FROM carried WHERE quarter = (SELECT min(quarter) FROM carried)",
    ):
        with sqlite3.connect(tmp_path / "book.db", isolation_level=None) as db:
            db.execute("BEGIN")
            db.execute(change)
            db.execute("COMMIT")
        db.close()
        store = SqliteKeeper(str(tmp_path / "book.db"))
        assert store.verify()
        store.close()


def test_sums_that_were_changed_alike_differ_from_what_was_written_down(tmp_path: Path) -> None:
    """What was charged for all dropped calls stands once more."""
    store = SqliteKeeper(str(tmp_path / "book.db"))
    fill(store)
    store.prune(CUT, lambda _: an_event("e"))
    store.close()
    db = sqlite3.connect(tmp_path / "book.db")
    quarter, who, asked, answered = db.execute(
        "SELECT quarter, who, asked, answered FROM carried WHERE cost_nanos > 0"
    ).fetchone()
    payer = db.execute("SELECT payer FROM who WHERE id = ?", (who,)).fetchone()[0]
    more, at = "SET cost_nanos = cost_nanos + 1 WHERE", "quarter = ? AND asked = ? AND answered = ?"
    db.execute(f"UPDATE carried {more} {at} AND who = ?", (quarter, asked, answered, who))
    db.execute(f"UPDATE quarter_total {more} {at} AND payer = ?", (quarter, asked, answered, payer))
    db.execute(f"UPDATE who_total {more} who = ?", (who,))
    db.commit()
    db.close()
    store = SqliteKeeper(str(tmp_path / "book.db"))
    assert [one.where for one in store.verify()] == ["sums of dropped calls"]
    store.close()


def test_a_correction_that_is_shipped_after_its_call_was_dropped_counts_nothing_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The fleet's ledger has only the call's sum by then."""
    host, fleet = MemoryStore(), SqliteFleet(str(tmp_path / "fleet.db"))
    call = enter(host, T0, "post", 100)
    ship(host, "ledger", fleet, host="h", at=T0)
    keeper = SqliteKeeper(str(tmp_path / "fleet.db"))
    keeper.prune(CUT, lambda _: an_event("e"))
    keeper.close()
    before = fleet.totals((), CallFilter())
    settlement = host.calls(CallFilter())[0].settlement
    assert settlement is not None
    host.adjust(call.id, replace(settlement, cost_nanos=40), "a better count")
    ship(host, "ledger", fleet, host="h", at=T0)
    assert fleet.totals((), CallFilter()) == before
    assert fleet.verify() == ()
    assert "passed over" in caplog.text
    fleet.close()
