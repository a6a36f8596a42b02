"""What was lost between the server and us: nobody knows whether it was done, so it is said again, and done once."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Balance, CallRecord, CallState, EntryKind, Reserved
from runguard_core.stores.postgres import PostgresStore
from runguard_core.testing._ledger_values import DAY, LATER, a_call, a_settlement, holds
from tests.servers import PostgresServer
from tests.servers._process import eventually
from tests.stores.postgres.conftest import own_schema
from tests.stores.postgres.proxy import Proxy


@pytest.fixture
def proxied(postgres_server: PostgresServer, ledger_url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy, and the ledger's URL through it."""
    with tempfile.TemporaryDirectory(prefix="rgx") as folder:  # a socket's path is short
        proxy = Proxy(postgres_server, Path(folder) / "s")
        yield proxy, f"{proxy.url}&{ledger_url.rpartition('&')[2]}"
        proxy.close()


def test_a_reply_that_is_lost_after_the_commit_applies_the_verb_once(proxied: tuple[Proxy, str]) -> None:
    """Every verb: the same id finds what it did the first time."""
    proxy, url = proxied
    store, call, gone = PostgresStore(url), a_call(), a_call()
    store.reserve(gone, holds(3), expires_at=LATER, owner="t")

    def each(reserved: CallRecord, voided: CallRecord) -> list[Callable[[], Any]]:
        return [
            lambda: store.reserve(reserved, holds(10), expires_at=LATER, owner="t"),
            lambda: store.post(reserved.id, a_settlement(7)),
            lambda: store.adjust(reserved.id, a_settlement(5), "invoice"),
            lambda: store.void(voided.id, a_settlement(0)),
        ]

    for at, verb in enumerate(each(call, gone)):
        # the statement is prepared on this connection first: what is lost is the answer to the verb itself
        other, unsent = a_call(), a_call()
        store.reserve(unsent, [], expires_at=LATER, owner="t")
        for before in each(other, unsent):
            before()
        proxy.lose_reply()
        verb()
        assert proxy.lost_count == at + 1
    assert [entry.kind for entry in store.entries(call.id)] == [EntryKind.PENDING, EntryKind.POST, EntryKind.ADJUST]
    assert [entry.kind for entry in store.entries(gone.id)] == [EntryKind.PENDING, EntryKind.VOID]
    assert store.balances([DAY.key])[DAY.key] == Balance(5 * 5)
    assert store.verify() == ()
    store.close()


def test_a_reply_that_never_comes_is_waited_for_within_a_bound(proxied: tuple[Proxy, str]) -> None:
    """Then the store says so; what was asked for may have been done, and the same id tells."""
    proxy, url = proxied
    store, call = PostgresStore(f"{url}&connect_timeout=2", reply_seconds=0.3), a_call()
    store._connections.return_seconds = 0
    proxy.swallow()
    with pytest.raises(StoreUnavailableError, match=r"timeout.*can be reached"):
        store.reserve(call, holds(10), expires_at=LATER, owner="t")
    store.close()


@pytest.fixture(scope="module")
def own_server(started_servers: None) -> Iterator[PostgresServer]:
    """One that may be killed; it keeps PostgreSQL's promises."""
    server = PostgresServer()
    yield server
    server.close()


def waiting_count(url: str) -> int:
    """How many connections wait for a lock."""
    with psycopg.connect(url, autocommit=True) as link:
        found = link.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone()
    return int(found[0]) if found else 0


def test_a_server_that_restarts_in_mid_call_takes_the_call_once(own_server: PostgresServer) -> None:
    """The verb waits for a row when the server crashes; it comes back, the verb is said again, and nothing is lost or doubled."""
    with own_schema(own_server.url) as url:
        store, before, call = PostgresStore(url), a_call(), a_call()
        store.reserve(before, holds(1), expires_at=LATER, owner="t")
        answers: list[Any] = []
        blocker = psycopg.connect(own_server.url)
        blocker.execute(f"SELECT FROM {url.rpartition('=')[2]}.account FOR UPDATE")
        thread = threading.Thread(target=lambda: answers.append(store.reserve(call, holds(10), expires_at=LATER, owner="t")))
        thread.start()
        eventually(lambda: waiting_count(own_server.url))
        own_server.restart()
        thread.join(30)
        blocker.close()
        (answer,) = answers
        assert isinstance(answer, Reserved)
        assert answer.balances[0] == Balance(0, 11)
        kept = store.call(before.id)
        assert kept is not None
        assert kept.state is CallState.PENDING  # what was acknowledged before the crash
        store.post(call.id, a_settlement(4))
        assert len(store.entries()) == 3
        assert store.verify() == ()
        store.close()


def test_a_server_that_is_down_is_named_and_found_again_when_it_is_back(own_server: PostgresServer) -> None:
    """The same store goes on; nothing has to be restarted."""
    with own_schema(own_server.url) as url:
        store = PostgresStore(url)
        store._connections.return_seconds = 0.2
        own_server.stop()
        with pytest.raises(StoreUnavailableError, match=r"start the server|can be reached") as caught:
            store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
        assert caught.value.store == store.url
        with pytest.raises(StoreUnavailableError):
            PostgresStore(url)
        own_server.start()
        assert isinstance(store.reserve(a_call(), holds(1), expires_at=LATER, owner="t"), Reserved)
        store.close()


def test_a_client_that_dies_in_a_transaction_holds_nothing_up(postgres_url: str, ledger_url: str, store: PostgresStore) -> None:
    """Its locks go with its connection."""
    store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        link = psycopg.connect(postgres_url)
        link.execute(f"SELECT FROM {ledger_url.rpartition('=')[2]}.account FOR UPDATE")
        os.write(writer, b"!")
        threading.Event().wait()
    assert os.read(reader, 1) == b"!"
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    for end in (reader, writer):
        os.close(end)
    assert isinstance(store.reserve(a_call(), holds(1), expires_at=LATER, owner="t"), Reserved)
