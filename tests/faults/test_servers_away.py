"""A ledger in a server that is killed, hangs, or comes back, as a program that uses it sees that."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from runguard_core import Guard, TrippedError
from runguard_core import events as ev
from runguard_core.ledger import CallFilter, CallState
from runguard_core.stores._watching import BLIND_SECONDS
from runguard_core.stores.leases import Leased
from runguard_core.stores.postgres import _connections
from runguard_core.stores.redis import RedisLeases
from tests.guard.spending import CENT, ONE, kinds, spend
from tests.servers import PostgresServer, ValkeyServer


@pytest.fixture(params=["redis", "postgresql"])
def server(request: pytest.FixtureRequest, started_servers: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server of the test's own; PostgreSQL is waited for half a second instead of ten."""
    monkeypatch.setattr(_connections, "RETURN_SECONDS", 0.5, raising=False)
    made = ValkeyServer() if request.param == "redis" else PostgresServer()
    yield made
    made.close()


def guard_on(server: Any, **more: Any) -> Guard:
    """A guard with ten cents a day."""
    url = f"{server.url}?tenant=t" if isinstance(server, ValkeyServer) else f"{server.url}&schema=t"
    return Guard(app="t", store=url, daily_budget_usd="0.10", prices=CENT, **more)


def day_of(guard: Guard) -> tuple[int, int]:
    """Posted and pending cents of the day."""
    (row,) = guard.store.accounts()
    return row.balance.posted // 10**7, row.balance.pending // 10**7


def test_a_server_that_dies_refuses_calls_and_comes_back_with_what_was_spent(server: Any) -> None:
    """The sentence says what, where, and what to do."""
    guard = guard_on(server)
    assert spend(guard, 3) == 3
    server.kill()
    with pytest.raises(TrippedError) as caught, guard.model_call("cent", max_output_tokens=1):
        pytest.fail("the ledger cannot be asked")
    said = str(caught.value)
    assert said.startswith(f"store {guard.store.url} is stopped by rule 'store': {guard.store.url}: ")
    assert "refused" in said
    assert said.endswith('mend the store, or set on_store_error = "degraded" or "admit"; the call was not sent')
    server.start()
    back = guard_on(server)
    assert day_of(back) == (3, 0)
    assert spend(back, 20) == 7, "not a cent more than the day has left"
    assert back.store.verify() == ()
    for one in (guard, back):
        one.close()


def test_a_call_in_flight_while_the_server_dies_is_entered_when_it_is_back(server: Any) -> None:
    """Its hold is in the server; its charge waits here."""
    guard = guard_on(server)
    held = guard.model_call("cent", max_output_tokens=5)
    server.kill()
    held.post(ONE)
    assert len(guard._engine.backlog.waiting) >= 1
    server.start()
    guard.flush()
    assert guard._engine.backlog.waiting == []
    assert day_of(guard) == (1, 0)
    assert guard.store.verify() == ()
    guard.close()


def test_calls_that_the_policy_admits_are_marked_and_entered_when_the_server_is_back(server: Any) -> None:
    """Never silently."""
    guard = guard_on(server, on_store_error="admit")
    assert spend(guard, 1) == 1
    server.kill()
    assert spend(guard, 2) == 2
    server.start()
    guard.flush()
    calls = guard.store.calls(CallFilter())
    assert [(call.state, call.unverified) for call in calls] == [
        (CallState.POSTED, False), (CallState.POSTED, True), (CallState.POSTED, True),
    ]  # fmt: skip
    assert day_of(guard) == (3, 0)
    assert ev.STORE_FAILED in kinds(guard)
    guard.close()


def test_a_kill_by_file_works_while_the_server_is_away(server: Any, tmp_path: Path) -> None:
    """The one stop that needs no ledger."""
    guard = guard_on(server, on_store_error="admit")
    assert spend(guard, 1) == 1
    server.kill()
    assert spend(guard, 1) == 1
    file = Path(guard._engine.kill_file or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    guard._engine.no_kill_file_until = 0.0  # instead of the fifty milliseconds
    assert spend(guard, 1) == 0
    file.unlink()
    server.start()
    guard.close()


def test_a_schema_that_was_dropped_is_no_empty_ledger(postgres_url: str) -> None:
    """Calls are refused by whoever knew it; nothing is made anew under their feet."""
    name = f"t{uuid.uuid4().hex[:12]}"
    guard = Guard(app="t", store=f"{postgres_url}&schema={name}", daily_budget_usd="0.10", prices=CENT)
    assert spend(guard, 1) == 1
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
    with pytest.raises(TrippedError, match="gone"), guard.model_call("cent", max_output_tokens=1):
        pytest.fail("what was spent is unknown")
    guard.close()


def test_leases_are_spent_while_the_server_is_away_until_nobody_can_say_who_is_stopped(
    started_servers: None, tmp_path: Path
) -> None:
    """Ten seconds; then the policy decides, and what was spent meanwhile is entered when it is back."""
    server = ValkeyServer()
    backend = RedisLeases(f"{server.url}?tenant=t", folder=tmp_path / "books")
    guard = Guard(app="t", store=Leased(backend, str(tmp_path / "leases"), lease_after=0), daily_budget_usd=100, prices=CENT)
    assert spend(guard, 40) == 40
    server.kill()
    assert spend(guard, 3) == 3
    watch = backend._watch
    watch.poll()
    assert spend(guard, 1) == 1
    watch._read_at, watch._fresh_until = watch._read_at - BLIND_SECONDS, watch._fresh_until - BLIND_SECONDS  # instead of waiting
    with pytest.raises(TrippedError, match=r"who is stopped has not been read for 1\d s"), guard.model_call("cent"):
        pytest.fail("somebody may have stopped it")
    server.start()
    watch.poll()
    assert spend(guard, 6) == 6
    guard.close()
    after = guard_on(server)
    assert day_of(after) == (50, 0)
    assert after.store.verify() == ()
    after.close()
    server.close()


def test_a_server_that_hangs_is_waited_for_within_a_bound(started_servers: None) -> None:
    """And whatever it did with what it was asked meanwhile, nothing of it stays set aside."""
    server = ValkeyServer()
    guard = guard_on(server)
    assert spend(guard, 1) == 1
    server.pause()
    assert spend(guard, 1) == 0
    server.resume()
    guard.flush()
    assert spend(guard, 20) == 9, "the server set the refused call aside after all: it is handed back"
    assert day_of(guard) == (10, 0)
    guard.close()
    server.close()
