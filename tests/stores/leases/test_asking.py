"""More than what is leased: fetched, asked back from others, or refused; under limits that differ and change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runguard_core.ledger import Balance, Hold, Refusal, Reserved
from runguard_core.stores.leases import Leased
from runguard_core.testing._ledger_values import DAY, LATER, SESSION, a_call, a_settlement

from .opened import StillHost, abandon, day, leased, plain, reserve, spend


def grants_of(store: Leased, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the store is asked for from now on."""
    asked: list[Any] = []
    real = store.backend.grant

    def grant(owner: str, wants: Any, **how: Any) -> Any:
        asked.append([(want.account.key, want.need, want.want) for want in wants])
        return real(owner, wants, **how)

    monkeypatch.setattr(store.backend, "grant", grant)
    return asked


def test_what_another_process_does_not_use_is_asked_back(tmp_path: Path) -> None:
    """The holder hears of it at its next round, and the call that was short passes."""
    host = StillHost()
    holder, store = leased(tmp_path), leased(tmp_path, host=host)
    reserve(holder, 10, 1000)
    taken = plain(tmp_path).balances([DAY.key])[DAY.key].leased
    assert taken > 100
    host.while_paused = holder.tick
    assert isinstance(reserve(store, 1000 - taken + 5, 1000), Reserved)
    assert len(host.paused) == 1
    assert spend(holder, 5, 1000)
    holder.close()
    store.close()


def test_a_holder_that_makes_a_call_hears_it_there(tmp_path: Path) -> None:
    """Without waiting for its thread."""
    host = StillHost()
    holder, store = leased(tmp_path), leased(tmp_path, host=host)
    spend(holder, 10, 1000)
    host.while_paused = lambda: spend(holder, 1, 1000)
    assert isinstance(reserve(store, 900, 1000), Reserved)
    holder.close()
    store.close()


def test_a_refusal_waits_no_longer_than_its_bound_and_only_where_that_can_help(tmp_path: Path) -> None:
    """A quarter of a second; not at all when all that others hold would not do, and not again for a second."""
    host = StillHost()
    holder, store = leased(tmp_path), leased(tmp_path, host=host)
    reserve(holder, 10, 1000)
    holder.tick()
    assert isinstance(reserve(store, 991, 1000), Refusal)
    assert host.paused == []
    found = reserve(store, 985, 1000)
    assert isinstance(found, Refusal)
    assert (found.hold.amount, found.hold.limit) == (985, 1000)
    assert found.balance.leased > 0
    assert 0.25 <= sum(host.paused) < 0.3
    host.paused.clear()
    assert isinstance(reserve(store, 985, 1000), Refusal)
    assert host.paused == []
    host.reading += 1.1
    host.while_paused = holder.tick
    assert isinstance(reserve(store, 985, 1000), Reserved)
    holder.close()
    store.close()


def test_what_the_dead_have_leased_stands_in_nobodys_way(tmp_path: Path) -> None:
    """They are recovered before a call is refused; also by a process that has not leased anything yet."""
    for lease_after in (0, 100):
        dead = leased(tmp_path / str(lease_after))
        spend(dead, 10, 1000)
        abandon(dead)
        store = leased(tmp_path / str(lease_after), lease_after=lease_after)
        assert isinstance(reserve(store, 990, 1000), Reserved)
        assert day(store) == Balance(10, 990)
        store.close()


def test_two_processes_use_up_a_limit_to_the_last_cent(tmp_path: Path) -> None:
    """In turns, with their rounds in between; whoever is refused has given back first."""
    hosts = [StillHost(), StillHost()]
    stores = [leased(tmp_path, host=host) for host in hosts]
    hosts[0].while_paused, hosts[1].while_paused = stores[1].tick, stores[0].tick
    passed = 0
    while [store for store in stores if spend(store, 3, 1000)]:
        passed += 1
        for store in stores:
            store.tick()
    assert 1000 - day(stores[0]).posted < 3
    for store in stores:
        store.close()


def test_a_lowered_limit_holds_from_the_next_call_on(tmp_path: Path) -> None:
    """What was leased below the higher one goes back before the call is judged."""
    store = leased(tmp_path)
    reserve(store, 10, 1000)
    assert plain(tmp_path).balances([DAY.key])[DAY.key].leased > 15
    found = reserve(store, 10, 15)
    assert isinstance(found, Refusal)
    assert found.balance == Balance(0, 10)
    assert isinstance(reserve(store, 5, 15), Reserved)
    assert isinstance(reserve(store, 1, 15), Refusal)
    assert isinstance(reserve(store, 1, 16), Reserved)
    store.tick()
    assert plain(tmp_path).balances([DAY.key])[DAY.key].leased == 0
    store.close()


def test_a_landing_allowance_is_open_to_whoever_may_use_it_only(tmp_path: Path) -> None:
    """Two limits on one account in turns: the lower one refuses, the higher one passes, and the lower one refuses again."""
    store = leased(tmp_path)
    while spend(store, 10, 100):
        pass
    assert isinstance(reserve(store, 10, 110, "landing"), Reserved)
    assert isinstance(reserve(store, 1, 100), Refusal)
    store.post("landing", a_settlement(4))
    assert isinstance(reserve(store, 1, 100), Refusal)
    assert isinstance(reserve(store, 6, 110), Reserved)
    store.close()


def test_observed_calls_are_never_refused_and_count_for_those_that_may_be(tmp_path: Path) -> None:
    """They draw on the lease where there is one."""
    store = leased(tmp_path)
    assert spend(store, 60, None)
    assert isinstance(reserve(store, 41, 100), Refusal)
    assert isinstance(reserve(store, 30, 100), Reserved)
    assert spend(store, 500, None)
    assert isinstance(reserve(store, 1, 100), Refusal)
    assert isinstance(reserve(store, 0, 100), Refusal)
    assert isinstance(reserve(store, 0, 590), Reserved)
    assert store.verify() == ()
    store.close()


def test_an_overrun_is_paid_by_the_next_call(tmp_path: Path) -> None:
    """Also when it goes beyond all that was leased."""
    store = leased(tmp_path)
    reserve(store, 10, 100, "over")
    store.post("over", a_settlement(95))
    assert isinstance(reserve(store, 6, 100), Refusal)
    assert isinstance(reserve(store, 5, 100), Reserved)
    assert isinstance(reserve(store, 0, 100), Reserved)
    assert day(store) == Balance(95, 5)
    store.close()


def test_a_refused_call_takes_from_no_account(tmp_path: Path) -> None:
    """All or none, also when the first one could have been paid from memory."""
    store = leased(tmp_path)
    spend(store, 10, 1000)
    found = store.reserve(a_call(), [Hold(DAY, 10, 1000), Hold(SESSION, 10, 5)], expires_at=LATER, owner="t")
    assert isinstance(found, Refusal)
    assert found.hold.account is SESSION
    assert day(store) == Balance(10)
    store.close()


def test_slices_grow_with_what_is_spent_and_shrink_with_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """32 calls at first; used up within a second the next one is twice as large; an eighth of what is there at most."""
    host = StillHost()
    store = leased(tmp_path, host=host)
    spend(store, 1, 10**6)
    asked = grants_of(store, monkeypatch)
    for _ in range(31 + 64 + 128):
        spend(store, 1, 10**6)
    assert [wants[0][2] for wants in asked] == [64, 128]
    host.reading += 20
    spend(store, 1, 10**6)
    assert asked[-1][0][2] == 64
    store.close()
    other = leased(tmp_path / "scarce", host=host)
    spend(other, 1, 80)
    assert plain(tmp_path / "scarce").balances([DAY.key])[DAY.key].leased == 10
    other.close()


def test_a_slice_is_filled_before_a_call_has_to_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the round that finds half of it used, and not for those that nobody uses."""
    store = leased(tmp_path, host=StillHost())
    spend(store, 1, 10**6)
    store.tick()
    asked = grants_of(store, monkeypatch)
    for _ in range(50):
        for _ in range(12):
            assert spend(store, 1, 10**6)
        store.tick()
    assert asked
    assert {wants[0][1] for wants in asked} == {0}
    store.close()


def test_after_a_pause_a_process_takes_more_than_one_call_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gave back what it did not use; nobody had asked for it."""
    host = StillHost()
    store = leased(tmp_path, host=host)
    spend(store, 1, 10**6)
    host.reading += 2.1
    store.tick()
    asked = grants_of(store, monkeypatch)
    spend(store, 1, 10**6)
    assert [wants[0][2] for wants in asked] == [32]
    store.close()


def test_what_is_idle_goes_back_and_is_forgotten(tmp_path: Path) -> None:
    """After two seconds without a call; the account's open call keeps it known."""
    host = StillHost()
    store = leased(tmp_path, host=host)
    spend(store, 1, 1000)
    store.tick()
    assert plain(tmp_path).balances([DAY.key])[DAY.key].leased > 0
    host.reading += 2.1
    store.tick()
    assert plain(tmp_path).balances([DAY.key])[DAY.key].leased == 0
    holdings = store._leases.holdings
    assert holdings is not None
    host.reading += 2.1
    store.tick()
    assert holdings.slices == {}
    reserve(store, 1, 1000, "open")
    store.tick()
    for _ in range(3):
        host.reading += 2.1
        store.tick()
    assert set(holdings.slices) == {DAY.key}
    store.post("open", a_settlement(1))
    assert day(store) == Balance(2)
    store.close()
