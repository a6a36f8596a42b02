"""Between memory and the book: lost replies, a store that is away, journals that are full, ids and ends that contradict the book."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import (
    Balance,
    CallFilter,
    Hold,
)
from runguard_core.testing._ledger_values import DAY, LATER, a_call, a_settlement

from .opened import abandon, day, leased, plain, reserve, spend


def test_a_lost_reply_is_asked_again_and_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether the book has heard the batch: the same batch comes again, whatever has happened since."""
    store = leased(tmp_path)
    spend(store, 7)
    real = store.backend.settle
    fails = [True]

    def lossy(*args: object, **kwargs: object) -> object:
        found = real(*args, **kwargs)  # type: ignore[arg-type]
        if fails.pop() if fails else False:
            raise StoreUnavailableError("l.db", "the reply was lost")
        return found

    monkeypatch.setattr(store.backend, "settle", lossy)
    assert store.tick() is False
    spend(store, 8)
    assert store.tick() is True
    assert day(store) == Balance(15)
    assert len(store.entries()) == 4
    assert store.verify() == ()
    store.close()


def test_while_the_store_is_away_what_is_leased_is_spent_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it refuses to guess; and once the store is back the book hears everything."""
    store = leased(tmp_path)
    assert spend(store, 1)

    def away(*args: object, **kwargs: object) -> object:
        raise StoreUnavailableError("l.db", "away")

    with monkeypatch.context() as patched:
        for verb in ("settle", "grant", "balances", "owners", "reserve"):
            patched.setattr(store.backend, verb, away)
        passed = 0
        with pytest.raises(StoreUnavailableError):
            while spend(store, 1):
                passed += 1
        assert passed == 31
        assert store.tick() is False
    assert day(store) == Balance(32)
    assert spend(store, 1)
    assert store.verify() == ()
    store.close()


def test_a_journal_is_used_again_from_its_start_and_what_it_said_before_is_not_read(tmp_path: Path) -> None:
    """Many times its size passes through it; a crash in the middle finds exactly the rest."""
    store = leased(tmp_path, journal_bytes=1 << 14)
    for _ in range(200):
        assert spend(store, 1)
    holdings = store._leases.holdings
    assert holdings is not None
    assert holdings.journal.base > 1 << 14
    store.tick()
    for _ in range(5):
        spend(store, 1)
    abandon(store)
    again = leased(tmp_path)
    assert day(again) == Balance(205)
    assert len(again.calls(CallFilter())) == 205
    assert again.verify() == ()
    again.close()


def test_a_call_larger_than_the_journal_is_reserved_plainly(tmp_path: Path) -> None:
    """And its end reaches the book directly."""
    store = leased(tmp_path, journal_bytes=1 << 12)
    spend(store, 1)
    store.reserve(a_call("big", agent="x" * 200, run="y" * 6000), [Hold(DAY, 5, 1000)], expires_at=LATER, owner="t")
    store.post("big", a_settlement(4))
    reserve(store, 2, call_id="small")
    store.post("small", a_settlement(2, note="z" * 6000))
    assert day(store) == Balance(7)
    assert store.verify() == ()
    store.close()


def test_an_id_that_the_book_knows_from_elsewhere_gets_a_call_of_its_own(tmp_path: Path) -> None:
    """Found out at the flush: both are counted, and nothing behind them waits."""
    book = plain(tmp_path)
    book.reserve(a_call("same"), [Hold(DAY, 5, 1000)], expires_at=LATER, owner="t")
    book.post("same", a_settlement(5))
    store = leased(tmp_path)
    reserve(store, 10, call_id="same")
    store.tick()
    store.post("same", a_settlement(9))
    spend(store, 1)
    assert day(store) == Balance(15)
    assert len(store.calls(CallFilter())) == 3
    assert store.verify() == ()
    store.close()


def test_an_end_that_contradicts_the_book_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody else (the child of a fork) has said how the call ended; that stays, and the rest of the batch passes."""
    store, book = leased(tmp_path), plain(tmp_path)
    reserve(store, 10, call_id="open")
    store.tick()
    book.post("open", a_settlement(4))
    store.post("open", a_settlement(9))
    spend(store, 1)
    with caplog.at_level(logging.WARNING):
        assert store.tick()
    assert "contradiction" in caplog.text
    assert day(store) == Balance(5)
    assert store.verify() == ()
    store.close()
