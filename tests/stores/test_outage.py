"""A store that fails for a while: calls are refused or admitted as the policy says, and what was admitted is written down later."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, NoReturn

import pytest

from runguard_core import Guard, StoppedError, Usage
from runguard_core.errors import StoreUnavailableError
from runguard_core.guard._backlog import Backlog
from runguard_core.ledger import Balance, CallFilter, CallState
from runguard_core.stores import MemoryStore, SqliteStore


def test_calls_admitted_on_a_full_disk_are_written_as_they_were_once_there_is_room(tmp_path: Path) -> None:
    """Reading still works there, so the store says it knows no such call: its reserve waits, and its post must wait behind it."""
    store = SqliteStore(str(tmp_path / "l.db"))
    guard = Guard(app="x", store=store, daily_budget_usd=1, on_store_error="admit")
    db = store._connections.get()
    db.execute(f"PRAGMA max_page_count={db.execute('PRAGMA page_count').fetchone()[0]}")
    made = 0
    while len(guard._engine.backlog.waiting) < 10:
        with guard.model_call("gpt-4o-mini", prompt="x") as call:
            call.post(Usage(input_tokens=1000, output_tokens=1000))
        made += 1
    db.execute("PRAGMA max_page_count=1000000")
    guard.flush()
    calls = guard.store.calls(CallFilter(app="x"))
    assert [(call.settlement.certainty.value, call.cost_nanos) for call in calls if call.settlement] == [
        ("exact", 750_000)
    ] * made
    assert guard.store.verify() == ()
    guard.close()


def test_one_delayed_write_that_never_succeeds_holds_up_no_other(tmp_path: Path) -> None:
    """It is said and dropped."""
    store, backlog, written = MemoryStore(), Backlog(), []

    def hopeless(_: object) -> None:
        raise TypeError("a value that cannot be stored")

    backlog.add("hopeless", hopeless)
    backlog.add("good", written.append)
    assert backlog.flush(store) == 2
    assert written == [store]


@pytest.mark.parametrize(("policy", "passes"), [("refuse", False), ("admit", True), ("degraded", True)])
def test_a_store_that_fails_refuses_or_admits_as_the_policy_says(tmp_path: Path, policy: str, passes: bool) -> None:
    """Never silently: admitted calls are marked, and written down once the store is back."""
    path = tmp_path / "l.db"
    guard = Guard(app="x", store=SqliteStore(str(path), busy_seconds=0.05), daily_budget_usd=1, on_store_error=policy)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    if not passes:
        with pytest.raises(StoppedError, match="locked"), guard.model_call("gpt-4o-mini", prompt="x"):
            pytest.fail("the call was made")
        other.execute("ROLLBACK")
    else:
        with guard.model_call("gpt-4o-mini", prompt="x") as call:
            call.post(Usage(input_tokens=1000, output_tokens=1000))
        other.execute("ROLLBACK")
        guard.flush()
        (kept,) = guard.store.calls(CallFilter())
        assert (kept.unverified, kept.cost_nanos) == (True, 750_000)
    other.close()
    assert guard.store.verify() == ()
    guard.close()


def test_degraded_admission_is_capped(tmp_path: Path) -> None:
    """Unverified spend of a process has a limit."""
    path = tmp_path / "l.db"
    store = SqliteStore(str(path), busy_seconds=0.02)
    guard = Guard(app="x", store=store, daily_budget_usd=1, on_store_error="degraded", degraded_limit_usd="0.001")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    passed = 0
    with pytest.raises(StoppedError):
        for _ in range(20):
            with guard.model_call("gpt-4o-mini", prompt="x", max_output_tokens=500):
                passed += 1
    assert passed == 3
    other.execute("ROLLBACK")
    other.close()
    guard.close()


def test_whoever_is_known_to_be_stopped_stays_stopped_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that admits calls without the ledger does not admit those a person has stopped."""
    store = MemoryStore()
    guard = Guard(app="x", store=store, on_store_error="admit")
    guard.kill("agent:planner", reason="runaway")
    assert guard.stopped(guard.attribution(agent="planner")) is not None
    with pytest.raises(StoppedError), guard.session("s", agent="planner"), guard.model_call("gpt-4o-mini", prompt="x"):
        pytest.fail("it is stopped")

    def away() -> NoReturn:
        raise StoreUnavailableError("redis://ledger", "Connection refused")

    monkeypatch.setattr(store, "latches", away)
    with (
        pytest.raises(StoppedError, match="runaway"),
        guard.session("s", agent="planner"),
        guard.model_call("gpt-4o-mini", prompt="x"),
    ):
        pytest.fail("it is known to be stopped")
    with guard.session("s", agent="other"), guard.model_call("gpt-4o-mini", prompt="x") as call:
        call.post(Usage(input_tokens=1, output_tokens=1))
    monkeypatch.undo()
    guard.close()


@pytest.mark.parametrize("what", ["call", "sub-agent"])
def test_what_was_refused_for_want_of_an_answer_does_not_stay_set_aside(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The store had done what it was asked, and only its answer was lost."""
    store = MemoryStore()
    guard = Guard(app="x", store=store, daily_budget_usd=1)
    reserve = store.reserve

    def unheard(*args: Any, **more: Any) -> NoReturn:
        reserve(*args, **more)
        raise StoreUnavailableError("redis://ledger", "Timeout reading from socket")

    monkeypatch.setattr(store, "reserve", unheard)
    with pytest.raises(StoppedError, match="Timeout"):
        if what == "call":
            guard.model_call("gpt-4o-mini", prompt="x")
        else:
            guard.child("0.50 USD").__enter__()
    monkeypatch.undo()
    assert [row.balance.pending > 0 for row in store.accounts()] == [True]
    guard.flush()
    assert [row.balance for row in store.accounts()] == [Balance()]
    assert [call.state for call in store.calls(CallFilter())] == [CallState.VOIDED]
    guard.close()
