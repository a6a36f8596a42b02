"""A cluster: one tenant's book lies in one slot, whatever the tenant is called, and is found again when the slot moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.crc import key_slot

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Balance, CallFilter, Granted, Hold, Owner, Reserved, Want
from runguard_core.stores.redis._keys import Keys
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement, an_event, holds
from tests.servers._process import eventually
from tests.stores.redis.conftest import Open, Start

SLOTS = 16384
TENANTS = ["a", "b", "c", "x}y{z", "%7B%7D", "é"]


@pytest.fixture
def nodes(start: Start, admin: Callable[[str], Any]) -> list[Any]:
    """Three nodes that share the slots; clients of a person at each."""
    servers = [start("--cluster-enabled", "yes", "--cluster-node-timeout", "2000") for _ in range(3)]
    clients = [admin(server.url) for server in servers]
    bounds = [SLOTS * number // 3 for number in range(4)]
    for number, client in enumerate(clients):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
    for client in clients:
        eventually(lambda client=client: _is_whole(client), 20)
    return clients


def _is_whole(client: Any) -> bool:
    told = client.execute_command("CLUSTER", "INFO")
    return "cluster_state:ok" in told and "cluster_known_nodes:3" in told


def url_of(client: Any) -> str:
    where = client.connection_pool.connection_kwargs
    return f"redis://{where['host']}:{where['port']}/0"


@pytest.mark.parametrize("tenant", ["a", "x}y{z", "}", "{}", "", "é" * 300, "\0"])
def test_all_keys_of_a_tenant_lie_in_one_slot(tenant: str) -> None:
    """Also the lists of sessions and owners with braces in their names."""
    keys = Keys(tenant)
    more = [
        keys.calls_of("session", "}"),
        keys.calls_of("run", "{a}"),
        keys.events_of("}{"),
        keys.lease_of("{}"),
        keys.open_of("}"),
    ]
    assert len({key_slot(key.encode()) for key in (*keys.book, *more)}) == 1


def test_a_book_works_from_whichever_node_is_named(nodes: list[Any], opened: Open) -> None:
    """Tenants spread over the nodes; every verb and every reading finds its own."""
    url = url_of(nodes[0])
    for tenant in TENANTS:
        store = opened(url, tenant=tenant)
        call = a_call(session="{s}")
        assert isinstance(store.reserve(call, holds(10), expires_at=LATER, owner="t", events=[an_event()]), Reserved)
        assert store.post(call.id, a_settlement(7)).balances[DAY.key] == Balance(7)
        assert [kept.id for kept in store.calls(CallFilter(session="{s}"))] == [call.id]
        store.enlist(Owner(id="o", host="h", boot_id="b", journal="/j", applied=0, deadline=LATER))
        assert isinstance(store.grant("o", [Want(DAY, 1, 8, 100)], now=T0), Granted)
        assert len(store.events()) == 1
        assert store.verify() == ()
    assert min(client.dbsize() for client in nodes) > 0


def test_a_slot_that_moves_is_followed(nodes: list[Any], opened: Open) -> None:
    """Resharding with MIGRATE: while the keys are half here and half there, calls are refused; then they go on."""
    store = opened(url_of(nodes[0]), tenant="moving")
    store.reserve(a_call("one"), holds(10), expires_at=LATER, owner="t")
    slot = key_slot(Keys("moving").book[0].encode())
    source = next(client for client in nodes if client.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot))
    target = next(client for client in nodes if client is not source)
    names = {id(client): client.execute_command("CLUSTER", "MYID") for client in (source, target)}
    target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[id(source)])
    source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[id(target)])
    keys = source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    where = target.connection_pool.connection_kwargs
    source.execute_command("MIGRATE", where["host"], where["port"], "", 0, 5000, "KEYS", *keys[: len(keys) // 2])
    with pytest.raises(StoreUnavailableError):
        store.reserve(a_call("half"), [Hold(DAY, 1, None)], expires_at=LATER, owner="t")
    source.execute_command("MIGRATE", where["host"], where["port"], "", 0, 5000, "KEYS", *keys[len(keys) // 2 :])
    for client in (target, source):
        client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[id(target)])
    store.reserve(a_call("two"), [Hold(DAY, 1, None)], expires_at=LATER, owner="t")
    assert store.balances([DAY.key])[DAY.key] == Balance(0, 11)
    assert store.verify() == ()


def test_replicas_cannot_be_waited_for_in_a_cluster(nodes: list[Any], opened: Open) -> None:
    """Said at connect."""
    with pytest.raises(StoreUnavailableError, match="cluster"):
        opened(url_of(nodes[0]), replicas="1")
