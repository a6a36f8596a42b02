"""A replica that takes over without the last acknowledged steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Balance, CallState, Granted, Hold, Owner, ReserveVerb, SettleVerb, Want
from runguard_core.stores.redis import RedisLeases
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement
from tests.servers import ValkeyServer
from tests.servers._process import eventually
from tests.stores.redis.conftest import Open, Start
from tests.stores.redis.proxy import Proxy, between


class Pair:
    """A primary and its replica, each behind a wire of its own; the program knows one address."""

    def __init__(self, start: Start, admin: Callable[[str], Any], link: Proxy, primary: ValkeyServer) -> None:
        self.primary, self._link = primary, link
        self.replica = start("--replicaof", "127.0.0.1", str(link.port))
        self._admin, self._primary_admin = admin(self.replica.url), admin(primary.url)
        eventually(lambda: self._admin.info("replication").get("master_link_status") == "up")

    def part(self) -> None:
        """Nothing reaches the replica from now on; it has everything up to here."""
        done = self._primary_admin.info("replication")["master_repl_offset"]
        eventually(lambda: self._admin.info("replication")["slave_repl_offset"] >= done)
        self._link.mode = "silence"

    def fail_over(self, front: Proxy) -> None:
        """The primary dies; the replica takes its place behind the address of the program."""
        self.primary.kill()
        self._admin.replicaof("NO", "ONE")
        front.upstream = self.replica.port
        front.cut()


def reserve(store: RedisLeases, number: int) -> None:
    store.reserve(a_call(f"id{number}"), [Hold(DAY, 1, 1000)], expires_at=LATER, owner="t")


def test_a_stale_replica_hears_the_last_500_steps_again(
    start: Start, opened: Open, admin: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Acknowledged by a primary that could reach nobody: none is lost as long as this process lives, and none counts twice."""
    primary = start()
    with between(primary.port) as link, between(primary.port) as front:
        pair, store = Pair(start, admin, link, primary), opened(front.url)
        for number in range(100):
            reserve(store, number)
        pair.part()
        for number in range(100, 600):
            reserve(store, number)
        store.post("id599", a_settlement(1))
        pair.fail_over(front)
        with caplog.at_level(logging.WARNING, "runguard"):
            store.post("id598", a_settlement(1))  # unknown to the replica until it has heard of it
        assert "found another primary" in caplog.text
        assert store.balances([DAY.key])[DAY.key] == Balance(2, 598)
        assert store.verify() == ()


def test_what_was_admitted_is_not_refused_by_the_new_primary(start: Start, opened: Open, admin: Callable[[str], Any]) -> None:
    """It may have been spent; the limit holds for whoever comes next."""
    primary = start()
    with between(primary.port) as link, between(primary.port) as front:
        pair, store, other = Pair(start, admin, link, primary), opened(front.url, tenant="t"), opened(front.url, tenant="t")
        pair.part()
        store.reserve(a_call("one"), [Hold(DAY, 60, 100)], expires_at=LATER, owner="t")
        pair.fail_over(front)
        other.reserve(a_call("two"), [Hold(DAY, 60, 100)], expires_at=LATER, owner="t")  # does not know of the first
        store.reserve(a_call("three"), [Hold(DAY, 0, None)], expires_at=LATER, owner="t")
        assert store.balances([DAY.key])[DAY.key] == Balance(0, 120)
        assert store.verify() == ()


def test_leases_and_their_batches_are_known_to_the_new_primary(start: Start, opened: Open, admin: Callable[[str], Any]) -> None:
    """Enlisted, granted and settled out of its sight: the owner goes on as if nothing had been."""
    primary = start()
    with between(primary.port) as link, between(primary.port) as front:
        pair, store = Pair(start, admin, link, primary), opened(front.url)
        pair.part()
        store.enlist(Owner(id="one", host="h", boot_id="b", journal="/j", applied=0, deadline=LATER))
        assert isinstance(store.grant("one", [Want(DAY, 50, 50, 100)], now=T0), Granted)
        calls = [a_call(f"id{number}") for number in range(3)]
        some = (Hold(DAY, 10, 100),)
        store.settle(
            "one",
            10,
            [ReserveVerb(calls[0], some, LATER), SettleVerb(calls[0].id, a_settlement(9))],
            keep={"day": 41},
            deadline=LATER,
        )
        store.settle("one", 20, [ReserveVerb(calls[1], some, LATER)], keep={"day": 31}, deadline=LATER)
        pair.fail_over(front)
        found = store.settle("one", 30, [SettleVerb(calls[1].id, a_settlement(10))], keep={"day": 31}, deadline=LATER)
        assert (found.balances, found.rests) == ({"day": Balance(19, 0, 0, 31)}, {"day": 31})
        assert store.verify() == ()
        assert [call.id for call in store.recover("one", 30, [], is_lost=False, now=T0)] == []
        assert store.balances([DAY.key])[DAY.key] == Balance(19)


def test_replicas_that_are_waited_for_have_it_or_it_is_not_admitted(
    start: Start, opened: Open, admin: Callable[[str], Any]
) -> None:
    """replicas=1: for programs that may die together with the primary."""
    primary = start()
    with between(primary.port) as link:
        pair, store = Pair(start, admin, link, primary), opened(primary.url, replicas="1", tenant="t")
        reserve(store, 1)
        pair.part()
        with pytest.raises(StoreUnavailableError, match="0 of the 1 replicas"):
            reserve(store, 2)
        taken_back = store.call("id2")
        assert taken_back is not None
        assert taken_back.state is CallState.VOIDED
        primary.kill()
        admin(pair.replica.url).replicaof("NO", "ONE")
        after = opened(pair.replica.url, tenant="t", durability="weak")
        assert after.balances([DAY.key])[DAY.key] == Balance(0, 1)


def test_a_primary_that_became_a_replica_is_neither_written_to_nor_believed(
    start: Start, opened: Open, admin: Callable[[str], Any]
) -> None:
    """The error names it; nothing is taken for done, and what it says may be old."""
    one, two = start(), start()
    with between(one.port) as front:
        store = opened(front.url)
        reserve(store, 1)
        admin(one.url).replicaof("127.0.0.1", str(two.port))
        with pytest.raises(StoreUnavailableError, match="replica"):
            reserve(store, 2)
        front.cut()
        with pytest.raises(StoreUnavailableError, match="this is a replica"):
            store.balances([DAY.key])
