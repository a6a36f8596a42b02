"""Many threads and processes on one ledger: no circle of waiting, no nano too much."""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg

from runguard_core.ids import new_id
from runguard_core.ledger import Account, Balance, CallFilter, Hold, LeaseVerb, Reserved, ReserveVerb, SettleVerb, Unit
from runguard_core.stores.postgres import PostgresLeases, PostgresStore
from runguard_core.testing._ledger_values import LATER, T0, a_call, a_settlement, holds

CAP = Account("cap", Unit.CALLS, "cap")


def _race(url: str, start: Any, results: Any) -> None:
    start.wait()
    store = PostgresStore(url)
    got = sum(
        isinstance(store.reserve(a_call(new_id()), [Hold(CAP, 1, 50, 50)], expires_at=LATER, owner=str(os.getpid())), Reserved)
        for _ in range(20)
    )
    results.put(got)
    store.close()


def test_eight_processes_open_an_empty_ledger_and_share_a_cap_exactly(ledger_url: str) -> None:
    """160 attempts against 50: 50 pass; the first to come sets the ledger up."""
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Event(), spawn.Queue()
    workers = [spawn.Process(target=_race, args=(ledger_url, start, results)) for _ in range(8)]
    for worker in workers:
        worker.start()
    start.set()
    passed = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert sum(passed) == 50
    store = PostgresStore(ledger_url)
    assert len(store.calls(CallFilter())) == 50
    assert store.verify() == ()
    store.close()


def deadlocks(url: str) -> int:
    """As the server counts them."""
    with psycopg.connect(url, autocommit=True) as link:
        found = link.execute("SELECT sum(deadlocks) FROM pg_stat_database").fetchone()
    return int(found[0]) if found else 0


def test_a_storm_of_calls_over_the_same_accounts_in_every_order_never_deadlocks(store: PostgresStore, postgres_url: str) -> None:
    """New accounts and old ones, posts, voids, expiry and late posts at once; the server counts the deadlocks it had to break."""
    before, failed = deadlocks(postgres_url), list[Exception]()

    def work(seed: int) -> None:
        dice = random.Random(seed)
        try:
            for number in range(25):
                accounts = dice.sample(range(12), k=6)
                legs = [Hold(Account(f"{number // 5}-{name}", Unit.USD), dice.randrange(9), None) for name in accounts]
                at = T0 + timedelta(minutes=number)
                call = a_call(f"{seed}-{number}", at)
                store.reserve(call, legs, expires_at=at + timedelta(minutes=dice.randrange(1, 3)), owner="t")
                if dice.random() < 0.7:
                    verb = store.post if dice.random() < 0.7 else store.void
                    verb(call.id, a_settlement(dice.randrange(9), amounts={leg.account.key: dice.randrange(9) for leg in legs}))
        except Exception as error:  # noqa: BLE001  whatever it is, the test shows it
            failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert deadlocks(postgres_url) == before
    assert len(store.calls(CallFilter())) == 200
    assert store.verify() == ()


def test_more_threads_than_connections_wait_for_one(store: PostgresStore) -> None:
    """A server with a thread for every request must not use up the database's connections."""

    def work(index: int) -> None:
        store.reserve(a_call(str(index)), holds(1, None), expires_at=LATER, owner="t")
        store.post(str(index), a_settlement(1))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.balances(["day"])["day"].posted == 40
    assert len(store._connections._idle) <= 8
    assert store._connections._lent == []


def test_a_forked_child_opens_its_own_connection(open_ledger: Callable[..., PostgresStore]) -> None:
    """Two processes on one connection would read each other's answers; the child's end does not end the parent's."""
    store = open_ledger()
    store.reserve(a_call("parent-1"), holds(1), expires_at=LATER, owner="p")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            store.reserve(a_call("child"), holds(1), expires_at=LATER, owner="c")
            store.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    store.reserve(a_call("parent-2"), holds(1), expires_at=LATER, owner="p")
    assert {call.id for call in store.calls(CallFilter())} == {"parent-1", "parent-2", "child"}
    assert store._connections._generation == 0  # nobody's connection was lost


def test_what_was_decided_elsewhere_is_loaded_in_one_step_once(
    open_ledger: Callable[..., PostgresStore], ledger_url: str
) -> None:
    """Calls and their ends, and ends of calls that were loaded before; the same batch again changes nothing."""
    store = PostgresLeases(ledger_url)
    one, two = a_call(), a_call()
    first: list[LeaseVerb] = [ReserveVerb(one, tuple(holds(10)), LATER), ReserveVerb(two, tuple(holds(10)), LATER)]
    first.append(SettleVerb(one.id, a_settlement(7)))
    later: list[LeaseVerb] = [SettleVerb(two.id, a_settlement(5))]
    for batch in (first, first, later, later):
        store.load(batch, "elsewhere")
    assert store.balances(["day"])["day"] == Balance(12)
    assert len(store.entries()) == 4
    assert [row.limit for row in store.accounts()] == [100, 100, 40]
    assert store.verify() == ()
    store.close()
