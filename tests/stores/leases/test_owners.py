"""Power cuts, other hosts, and owners that were given up while they lived."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from runguard_core.ledger import (
    Balance,
    CallFilter,
    CallState,
)
from runguard_core.testing._ledger_values import DAY, T0, a_settlement

from .opened import HOUR, StillHost, abandon, day, leased, plain, reserve, spend


def test_after_a_power_cut_the_whole_rest_is_charged(tmp_path: Path) -> None:
    """The end of the journal may never have reached the disk, whatever can be read of it."""
    host = StillHost()
    dead = leased(tmp_path, host=host)
    reserve(dead, 10, call_id="told")
    dead.tick()
    rest = plain(tmp_path).balances([DAY.key])[DAY.key].leased
    spend(dead, 3)
    abandon(dead)
    host.boot = "the next"
    store = leased(tmp_path, host=host)
    store.expire(T0)
    assert day(store) == Balance(10 + rest, 0, 10 + rest)
    store.close()


def test_another_host_waits_for_the_deadline(tmp_path: Path) -> None:
    """It cannot see the journal, nor whether its process lives."""
    host, elsewhere = StillHost(), StillHost()
    elsewhere.name, elsewhere.boot = "elsewhere", "its own"
    alive = leased(tmp_path, host=host)
    reserve(alive, 10, call_id="open")
    alive.tick()
    other = leased(tmp_path, host=elsewhere)
    other.expire(T0)
    assert plain(tmp_path).owners() != ()
    elsewhere.wall += HOUR
    other.expire(T0)
    assert plain(tmp_path).owners() == ()
    call = other.call("open")
    assert call is not None
    assert call.state is CallState.ASSUMED
    other.close()
    # the owner was only slow: what it tells now corrects
    alive.post("open", a_settlement(2))
    spend(alive, 5)
    call = alive.call("open")
    assert call is not None
    assert (call.state, call.cost_nanos) == (CallState.POSTED, 2)
    assert alive.verify() == ()
    alive.close()


def test_an_owner_that_was_given_up_loses_no_truth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It had not told everything: calls it had begun and ended in memory are entered as they were, under its next owner."""
    store = leased(tmp_path)
    spend(store, 7)
    first = store._leases.owner
    book = plain(tmp_path)
    book.recover(first, 0, (), is_lost=True, now=T0)
    reserve(store, 3, call_id="open")
    with caplog.at_level(logging.WARNING):
        assert store.tick()
    assert "given up" in caplog.text
    assert {call.cost_nanos for call in book.calls(CallFilter(state=CallState.POSTED))} == {7}
    store.post("open", a_settlement(2))
    assert spend(store, 1)
    assert store._leases.owner != first
    assert {call.cost_nanos for call in store.calls(CallFilter())} == {7, 2, 1}
    assert store.verify() == ()
    store.close()
