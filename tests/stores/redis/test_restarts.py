"""A server that is killed, restarted, emptied: what was acknowledged is there, and what is lost is a refusal."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runguard_core import Guard, StoppedError
from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Balance, CallFilter, Hold, Refusal
from runguard_core.stores import open_store
from runguard_core.testing._ledger_values import DAY, LATER, a_call, a_settlement, holds
from tests.servers._process import eventually
from tests.stores.redis.conftest import Open, Start


def fill(store: Any, count: int) -> None:
    """Acknowledged reserves, half of them posted."""
    for number in range(count):
        call = a_call(f"id{number}")
        store.reserve(call, [Hold(DAY, 1, None)], expires_at=LATER, owner="t")
        if number % 2:
            store.post(call.id, a_settlement(1))


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_kill_9_of_the_server_loses_nothing_that_was_acknowledged(start: Start, opened: Open, fsync: str) -> None:
    """With an append-only file, as is asked for at connect; the same store goes on."""
    server = start("--appendfsync", fsync)
    store = opened(server.url)
    fill(store, 200)
    server.kill()
    server.start()
    assert store.balances([DAY.key])[DAY.key] == Balance(100, 100)
    assert len(store.entries()) == 300
    store.post("id0", a_settlement(1))
    assert store.verify() == ()


def test_a_server_without_a_file_that_was_restarted_is_refused_not_taken_for_a_new_one(start: Start, opened: Open) -> None:
    """Accepted knowingly (durability=weak), it forgets; the store that lives says so, and so does the next one on this host."""
    server = start("--appendonly", "no")
    store = opened(server.url, durability="weak", tenant="t")
    fill(store, 10)
    server.kill()
    server.start()
    for verb in (
        lambda: store.reserve(a_call(), holds(1), expires_at=LATER, owner="t"),
        lambda: store.post("id0", a_settlement(1)),
        lambda: store.calls(CallFilter()),
        store.verify,
        lambda: store.balances([DAY.key]),
        lambda: opened(server.url, durability="weak", tenant="t"),
    ):
        with pytest.raises(StoreUnavailableError, match="is gone") as caught:
            verb()
        assert "delete" in caught.value.way_out


def test_flushall_is_a_refusal_until_a_person_accepts_the_loss(
    start: Start, opened: Open, admin: Callable[[str], Any], tmp_path: Path
) -> None:
    """By doing what the error says: delete the file that remembers the book."""
    server = start()
    store = opened(server.url, tenant="t")
    fill(store, 3)
    admin(server.url).flushall()
    with pytest.raises(StoreUnavailableError, match="is gone") as caught:
        store.reserve(a_call(), [Hold(DAY, 1, 1)], expires_at=LATER, owner="t")
    (remembered,) = (tmp_path / "books").iterdir()
    assert str(remembered) in caught.value.way_out
    assert remembered.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreUnavailableError, match="is gone"):
        opened(server.url, tenant="t")
    assert admin(server.url).dbsize() == 0  # refusing makes nothing that another host could take for the book
    remembered.unlink()
    fresh = opened(server.url, tenant="t")
    assert fresh.calls(CallFilter()) == ()
    with pytest.raises(StoreUnavailableError, match="is gone"):  # who knew the old book goes on refusing
        store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")


def test_another_book_under_the_same_name_is_not_the_one_that_was_here(
    start: Start, opened: Open, admin: Any, tmp_path: Path
) -> None:
    """A container without memory made a new one after the loss; this host knows better."""
    server = start()
    opened(server.url, tenant="t")
    admin(server.url).flushall()
    opened(server.url, folder=tmp_path / "elsewhere", tenant="t")
    with pytest.raises(StoreUnavailableError, match="is gone"):
        opened(server.url, tenant="t")


def test_a_book_that_must_be_there_is_not_made(start: Start, opened: Open) -> None:
    """create=no: for hosts that remember nothing."""
    server = start()
    with pytest.raises(StoreUnavailableError, match="there is no book of tenant t"):
        opened(server.url, folder=None, tenant="t", create="no")
    opened(server.url, folder=None, tenant="t")
    opened(server.url, folder=None, tenant="t", create="no")


def test_a_dead_server_fails_in_milliseconds_and_the_policy_decides(start: Start, opened: Open) -> None:
    """Refused by default; the error says what to look at."""
    server = start()
    guard = Guard(app="x", store=open_store(f"{server.url}?tenant=g"), daily_budget_usd=1)
    store = opened(server.url)
    server.kill()
    before = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="is up and can be reached"):
        store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    assert time.monotonic() - before < 0.5
    with pytest.raises(StoppedError), guard.model_call("gpt-4o-mini", prompt="x"):
        pytest.fail("the call was made")
    server.start()

    def is_admitted() -> bool:
        try:
            guard.model_call("gpt-4o-mini", prompt="x").void()
        except StoppedError:
            return False
        return True

    eventually(is_admitted)  # who is stopped is read again within a second or two
    guard.close()


def test_a_replica_and_a_server_that_forgets_or_evicts_are_named_at_connect(start: Start, opened: Open) -> None:
    """With the lines that its configuration needs; and durability=weak accepts what it says it accepts."""
    forgetful, evicting = start("--appendonly", "no"), start("--maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreUnavailableError, match="no append-only file") as caught:
        opened(forgetful.url)
    assert "appendonly yes\nappendfsync everysec" in caught.value.way_out
    assert "maxmemory-policy" not in caught.value.way_out
    with pytest.raises(StoreUnavailableError, match="evicts keys") as caught:
        opened(evicting.url)
    assert "maxmemory-policy noeviction" in caught.value.way_out
    for server in (forgetful, evicting):
        fill(opened(server.url, durability="weak"), 1)
    replica = start("--replicaof", "127.0.0.1", str(evicting.port))
    with pytest.raises(StoreUnavailableError, match="replica"):
        opened(replica.url)


def test_out_of_memory_admits_nothing_and_settles_everything(start: Start, opened: Open, admin: Callable[[str], Any]) -> None:
    """Calls in flight are still posted, voided, extended, expired, adjusted; a person can still stop an app."""
    server = start("--maxmemory", "6mb")
    store, person = opened(server.url), admin(server.url)
    with pytest.raises(StoreUnavailableError, match="maxmemory") as caught:
        for number in range(20_000):
            store.reserve(a_call(f"id{number}"), [Hold(DAY, 1, None)], expires_at=LATER, owner="t" * 200)
    assert "maxmemory" in caught.value.way_out
    assert person.info("stats")["evicted_keys"] == 0
    before = store.balances([DAY.key])[DAY.key]
    store.post("id0", a_settlement(3))
    store.void("id1", a_settlement(0))
    assert store.extend(["id2"], LATER) == 1
    store.adjust("id0", a_settlement(2), "invoice")
    assert store.balances([DAY.key])[DAY.key] == Balance(2, before.pending - 2)
    with pytest.raises(StoreUnavailableError, match="maxmemory"):
        store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    assert len(store.expire(LATER)) == before.pending - 2
    person.config_set("maxmemory", "0")
    assert not isinstance(store.reserve(a_call(), [Hold(DAY, 1, None)], expires_at=LATER, owner="t"), Refusal)
    assert store.verify() == ()
