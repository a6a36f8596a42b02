"""Between the program and the server: answers that are lost, silence, forks, passwords."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Applied, Balance, Granted, Hold, Owner, Reserved, Want
from runguard_core.stores.redis import RedisLeases, _scripts
from runguard_core.testing._ledger_values import DAY, LATER, SESSION, T0, a_call, a_settlement, an_event, holds
from tests.servers import ValkeyServer
from tests.stores.redis.conftest import Open, Start
from tests.stores.redis.proxy import between


def know_scripts(store: RedisLeases) -> None:
    """So that the answer which is lost is one to a verb, not "no such script"."""
    for file in _scripts.files("runguard_core.stores.redis").joinpath("lua").iterdir():
        verb = file.name.removesuffix(".lua")
        if verb not in {"prelude", "leasing"}:
            store._book.server.client.script_load(_scripts.script(verb).text)


def test_an_answer_that_is_lost_is_asked_for_again_and_applied_once(valkey_server: ValkeyServer, opened: Open) -> None:
    """Every verb: the server did it, nobody heard; the store says it again under the same id."""
    with between(valkey_server.port) as proxy:
        store = opened(proxy.url)
        know_scripts(store)
        calls = [a_call(f"id{number}") for number in range(3)]
        verbs: list[Callable[[], Any]] = [
            lambda: store.reserve(calls[0], holds(10), expires_at=LATER, owner="t", events=[an_event("one")]),
            lambda: store.reserve(calls[1], holds(10), expires_at=LATER, owner="t"),
            lambda: store.post(calls[0].id, a_settlement(7), [an_event("two")]),
            lambda: store.void(calls[1].id, a_settlement(0)),
            lambda: store.adjust(calls[0].id, a_settlement(5), "invoice"),
            lambda: store.announce([an_event("three")]),
            lambda: store.reserve(calls[2], holds(10), expires_at=LATER, owner="t"),
            lambda: store.expire(LATER),
        ]
        for verb in verbs:
            proxy.mode, proxy.to_lose = "lose answers", 1
            proxy.lost.clear()
            verb()
            assert proxy.lost.is_set()
            proxy.mode = "pass"
        assert store.balances([DAY.key])[DAY.key] == Balance(15, 0, 10)
        assert [event.message for event in store.events()] == ["one", "two", "three"]
        assert len(store.entries()) == 7
        assert [entry.cost_nanos for entry in store.entries(calls[0].id)] == [0, 7, -2]
        assert store.verify() == ()


def test_a_grant_whose_answer_is_lost_is_the_same_grant(valkey_server: ValkeyServer, opened: Open) -> None:
    """Not a second slice."""
    with between(valkey_server.port) as proxy:
        store = opened(proxy.url)
        know_scripts(store)
        store.enlist(Owner(id="one", host="h", boot_id="b", journal="/j", applied=0, deadline=LATER))
        proxy.mode = "lose answers"
        granted = store.grant("one", [Want(DAY, 10, 40, 400), Want(SESSION, 1, 8, 10)], now=T0)
        assert proxy.lost.is_set()
        assert isinstance(granted, Granted)
        assert dict(granted.amounts) == {DAY.key: 40, SESSION.key: 1}
        assert store.balances([DAY.key])[DAY.key] == Balance(0, 0, 0, 40)
        assert store.verify() == ()


def test_silence_is_bounded_and_what_was_cut_off_is_still_exact(valkey_server: ValkeyServer, opened: Open) -> None:
    """A partition: the wait is the URL's, the outcome unknown, and the same id settles it afterwards."""
    with between(valkey_server.port) as proxy:
        store = opened(proxy.url, socket_timeout="0.2")
        call = a_call()
        proxy.mode = "silence"
        before = time.monotonic()
        with pytest.raises(StoreUnavailableError, match=r"[Tt]imeout|[Tt]imed out"):
            store.reserve(call, holds(10), expires_at=LATER, owner="t")
        assert time.monotonic() - before < 1.5  # two waits, one of them for a connection
        proxy.mode = "pass"
        proxy.cut()
        found = store.reserve(call, holds(10), expires_at=LATER, owner="t")
        assert isinstance(found, Reserved)
        assert store.balances([DAY.key])[DAY.key] == Balance(0, 10)
        assert store.verify() == ()


def test_a_server_that_hangs_and_goes_on_is_waited_for_a_bounded_time(start: Start, opened: Open) -> None:
    """SIGSTOP: connections stay open, nothing is answered."""
    server = start()
    store = opened(server.url, socket_timeout="0.2")
    call = a_call()
    server.pause()
    with pytest.raises(StoreUnavailableError):
        store.reserve(call, holds(10), expires_at=LATER, owner="t")
    server.resume()
    found = store.reserve(call, holds(10), expires_at=LATER, owner="t")
    assert isinstance(found, Reserved)  # the first may have arrived after all: then it exists
    assert store.balances([DAY.key])[DAY.key] == Balance(0, 10)


def test_a_forked_child_talks_on_a_connection_of_its_own(valkey_url: str, opened: Open) -> None:
    """Both write at the same time; answers are not mixed up."""
    store = opened(valkey_url)
    store.reserve(a_call("before"), holds(1), expires_at=LATER, owner="p")
    pid = os.fork()
    code = 1
    try:
        for number in range(30):
            found = store.reserve(a_call(f"{pid == 0}-{number}"), [Hold(DAY, 1, None)], expires_at=LATER, owner="x")
            assert isinstance(found, Reserved)
            assert found.applied is Applied.CREATED
        code = 0
    finally:
        if pid == 0:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert store.balances([DAY.key])[DAY.key] == Balance(0, 61)
    assert store.verify() == ()


def test_eight_threads_share_a_store_and_a_cap_exactly(valkey_url: str, opened: Open) -> None:
    """160 attempts against 50; every post counted."""
    store, passed = opened(valkey_url), []

    def work(index: int) -> None:
        for number in range(20):
            call = a_call(f"{index}-{number}")
            if isinstance(store.reserve(call, [Hold(DAY, 1, 50)], expires_at=LATER, owner="t"), Reserved):
                store.post(call.id, a_settlement(1))
                passed.append(call.id)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 50
    assert store.balances([DAY.key])[DAY.key] == Balance(50)
    assert store.verify() == ()


def test_no_error_shows_a_password(start: Start, opened: Open) -> None:
    """Neither the URL of the store nor what it says when the password is wrong, missing, or the server gone."""
    server = start("--requirepass", "s3cret-word")
    place = server.url.removeprefix("redis://")
    store = opened(f"redis://:s3cret-word@{place}")
    assert "s3cret" not in store.url
    said = []
    for url in (f"redis://:wr0ng-word@{place}", server.url):
        with pytest.raises(StoreUnavailableError) as caught:
            opened(url)
        said.append(str(caught.value) + repr(caught.value))
    server.kill()
    with pytest.raises(StoreUnavailableError) as caught:
        store.post("x", a_settlement(1))
    said.append(str(caught.value))
    assert [text for text in said if "s3cret" in text or "wr0ng" in text] == []
    assert "password" in said[0]
    assert "password" in said[1]


@pytest.mark.parametrize(
    ("query", "what"),
    [("durability=strong", "durability=strong"), ("create=maybe", "create=maybe"), ("replicas=many", "replicas=many")],
)
def test_parameters_that_mean_nothing_are_named(valkey_url: str, opened: Open, query: str, what: str) -> None:
    name, _, value = query.partition("=")
    with pytest.raises(StoreUnavailableError, match=what):
        opened(valkey_url, **{name: value})
