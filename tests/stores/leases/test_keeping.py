"""The thread beside a store with leases: it flushes soon, sleeps when there is nothing to do, and ends with its store."""

from __future__ import annotations

import gc
import logging
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Balance
from runguard_core.testing._ledger_values import DAY, a_settlement

from .opened import StillHost, leased, plain, reserve, spend


def test_what_happens_is_in_the_book_a_moment_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody asking; after it has slept, too."""
    store = leased(tmp_path, background=True)
    told = threading.Event()
    real = store.backend.settle

    def settle(*args: Any, **how: Any) -> Any:
        found = real(*args, **how)
        told.set()
        return found

    monkeypatch.setattr(store.backend, "settle", settle)
    for count in (1, 2):
        told.clear()
        assert spend(store, 1)
        assert told.wait(10)
        with store._leases.flow:
            assert plain(tmp_path).balances([DAY.key])[DAY.key].posted == count
    store.close()


def test_a_store_that_nobody_holds_hands_everything_back(tmp_path: Path) -> None:
    """No `close`: its thread ends by itself."""
    store = leased(tmp_path, background=True)
    assert spend(store, 1)
    thread = store._keeper._thread
    assert thread is not None
    del store
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    book = plain(tmp_path)
    assert book.balances([DAY.key])[DAY.key] == Balance(1)
    assert book.owners() == ()


def test_it_says_once_that_the_store_is_away_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every round would be noise."""
    store = leased(tmp_path)
    spend(store, 1)

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("l.db", "away")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(store.backend, "settle", away)
        assert [store.tick() for _ in range(3)] == [False] * 3
    assert caplog.text.count("keeps what happens in its journal") == 1
    assert store.tick()
    assert store.balances([DAY.key])[DAY.key] == Balance(1)
    store.close()


def test_an_owner_with_calls_in_flight_keeps_saying_that_it_lives(tmp_path: Path) -> None:
    """Else another host would charge them at their quotes."""
    host = StillHost()
    store = leased(tmp_path, host=host)
    reserve(store, 1, call_id="open")
    store.tick()
    before = plain(tmp_path).owners()[0].deadline
    host.reading += 25
    host.wall += timedelta(seconds=25)
    store.tick()
    store.tick()
    assert plain(tmp_path).owners()[0].deadline == before + timedelta(seconds=25)
    store.post("open", a_settlement(1))
    store.close()


def test_closing_while_the_store_is_away_leaves_the_journal_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And raises nothing into the program that ends."""
    store = leased(tmp_path)
    spend(store, 1)

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("l.db", "away")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(store.backend, "settle", away)
        store.close()
    assert "the next process will" in caplog.text
    again = leased(tmp_path)
    assert again.balances([DAY.key])[DAY.key] == Balance(1)
    assert again.verify() == ()
    again.close()
