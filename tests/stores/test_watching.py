"""`Watch`: no round trip per call, a stated bound on what others write, and nobody blind without being told."""

from __future__ import annotations

import gc
import os
import queue
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from runguard_core.breaker import kill
from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Latch, LimitOverride
from runguard_core.stores._watching import BLIND_SECONDS, EVERY_SECONDS, Watch

AT = datetime(2026, 11, 25, tzinfo=UTC)
STOPPED = kill("app", "search", "runaway", "ann", AT)


class Server:
    """A store that is elsewhere: latches, overrides, a version, a clock; counts what is read."""

    def __init__(self) -> None:
        self.now = 100.0
        self.version = 0
        self.latches: dict[tuple[str, str], Latch] = {}
        self.overrides: dict[str, LimitOverride] = {}
        self.reads: list[str] = []
        self.is_down = False
        self.pauses: queue.Queue[float] = queue.Queue()
        self.steps: queue.Queue[bool] = queue.Queue()

    def watch(self) -> Watch:
        return Watch(
            lambda: self.read("version", self.version),
            lambda: self.read("latches", dict(self.latches)),
            lambda: self.read("overrides", dict(self.overrides)),
            place="redis://ledger",
            monotonic=lambda: self.now,
            wait=self.wait,
        )

    def read(self, what: str, found: Any) -> Any:
        self.reads.append(what)
        if self.is_down:
            raise StoreUnavailableError("redis://ledger", "Connection refused", "start the server")
        return found

    def put(self, latch: Latch) -> None:
        self.latches[latch.scope] = latch
        self.version += 1

    def wait(self, seconds: float) -> bool:
        """The thread's pause ends when a test says so."""
        self.pauses.put(seconds)
        return self.steps.get()

    def round(self) -> float:
        """The thread has read once more; the pause it takes now."""
        self.steps.put(False)
        return self.pauses.get(timeout=5)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.steps.put(True)


def begun(server: Server) -> Watch:
    """A watch that was asked once and whose thread pauses for the first time."""
    watch = server.watch()
    assert watch.latches() == {}
    assert server.pauses.get(timeout=5) == EVERY_SECONDS
    server.reads.clear()
    return watch


def test_nothing_is_read_before_somebody_asks(server: Server) -> None:
    server.watch()
    assert server.reads == []


def test_asking_again_is_no_read(server: Server) -> None:
    watch = begun(server)
    for _ in range(1000):
        watch.latches(), watch.overrides()
    assert server.reads == []


def test_the_mapping_is_the_same_object_until_something_changes(server: Server) -> None:
    watch = begun(server)
    before = watch.latches(), watch.overrides()
    server.round()
    assert server.reads == ["version"]
    assert watch.latches() is before[0]
    assert watch.overrides() is before[1]


def test_what_another_process_writes_is_seen_after_the_next_round(server: Server) -> None:
    watch = begun(server)
    server.put(STOPPED)
    assert watch.latches() == {}
    server.now += EVERY_SECONDS
    assert server.round() == EVERY_SECONDS
    assert watch.latches() == {STOPPED.scope: STOPPED}
    server.overrides["a"] = LimitOverride(account_key="a", limit=1, by="ann", reason="", since=AT)
    server.version += 1
    server.round()
    assert watch.overrides() == server.overrides


def test_what_this_process_writes_is_seen_at_once(server: Server) -> None:
    watch = begun(server)
    server.put(STOPPED)
    watch.refresh()
    assert watch.latches() == {STOPPED.scope: STOPPED}


def test_a_write_between_version_and_mappings_is_not_missed(server: Server) -> None:
    watch = server.watch()
    read_version, _, read_overrides = watch._read

    def late_latches() -> dict[tuple[str, str], Latch]:
        found = dict(server.latches)
        server.put(STOPPED)  # right after the read
        watch._read = (read_version, lambda: dict(server.latches), read_overrides)
        return found

    watch._read = (read_version, late_latches, read_overrides)
    assert watch.latches() == {}
    watch.poll()
    assert watch.latches() == {STOPPED.scope: STOPPED}


def test_a_server_that_is_down_leaves_the_last_known_state_for_a_while(server: Server) -> None:
    server.put(STOPPED)
    watch = server.watch()
    assert watch.latches() == {STOPPED.scope: STOPPED}
    server.pauses.get(timeout=5)
    server.is_down = True
    server.round()
    server.now += BLIND_SECONDS - 0.1
    assert watch.latches() == {STOPPED.scope: STOPPED}
    server.now += 0.1
    with pytest.raises(
        StoreUnavailableError, match=r"redis://ledger: who is stopped has not been read for 10 s .*refused.*start the"
    ):
        watch.latches()
    with pytest.raises(StoreUnavailableError):
        watch.overrides()


def test_asking_while_the_server_is_down_reads_nothing(server: Server) -> None:
    watch = begun(server)
    server.is_down = True
    server.round()
    server.reads.clear()
    server.now += 5
    for _ in range(100):
        watch.latches()
    server.now += BLIND_SECONDS
    for _ in range(100):
        with pytest.raises(StoreUnavailableError):
            watch.latches()
    assert server.reads == []


def test_pauses_grow_while_the_server_is_down_and_are_short_again_afterwards(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    watch = begun(server)
    server.is_down = True
    assert [server.round() for _ in range(6)] == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    server.is_down = False
    server.put(STOPPED)
    assert server.round() == EVERY_SECONDS
    assert watch.latches() == {STOPPED.scope: STOPPED}
    told = [record.message for record in caplog.records]
    assert len(told) == 2, "once when it stops to answer, once when it answers again"


def test_a_server_that_never_answered_is_an_error_at_once(server: Server) -> None:
    server.is_down = True
    watch = server.watch()
    with pytest.raises(StoreUnavailableError, match="who is stopped cannot be read"):
        watch.latches()


def test_own_writes_that_cannot_be_read_back_are_an_error_until_they_can(server: Server) -> None:
    watch = begun(server)
    server.put(STOPPED)
    server.is_down = True
    watch.refresh()
    with pytest.raises(StoreUnavailableError):
        watch.latches()
    server.is_down = False
    server.round()
    assert watch.latches() == {STOPPED.scope: STOPPED}


def test_a_thread_that_is_late_is_not_waited_for(server: Server) -> None:
    """A process that was stopped for a minute asks before its thread runs again."""
    watch = begun(server)
    server.put(STOPPED)
    server.now += 60
    assert watch.latches() == {STOPPED.scope: STOPPED}


def test_who_asks_while_another_reads_gets_what_is_known(server: Server) -> None:
    watch = begun(server)
    reading, go_on = threading.Event(), threading.Event()
    rest, hung = watch._read[1:], list[bool]()

    def hanging() -> int:
        reading.set()
        hung.append(go_on.wait(2))
        return server.version

    watch._read = (hanging, *rest)
    server.steps.put(False)
    assert reading.wait(5)
    server.now += 5  # older than any round, younger than the bound
    assert watch.latches() == {}
    go_on.set()
    server.pauses.get(timeout=5)
    assert hung == [True], "nobody waited for the one who read"


def test_a_fault_of_ours_does_not_end_the_thread(server: Server) -> None:
    watch = begun(server)
    read = watch._read
    watch._read = (lambda: 1 // 0, *read[1:])
    server.round()
    server.now += BLIND_SECONDS
    with pytest.raises(StoreUnavailableError, match="division"):
        watch.latches()
    watch._read = read
    server.round()
    assert watch.latches() == {}


def test_the_thread_ends_with_close_and_with_the_store() -> None:
    watch = Watch(lambda: 1, dict, dict, place="x")
    assert watch.latches() == {}
    thread = watch._thread
    assert thread is not None
    assert thread.is_alive()
    watch.close()
    watch.close()
    assert not thread.is_alive()
    assert watch.latches() == {}, "asking afterwards still answers, by reading"
    forgotten = Watch(lambda: 1, dict, dict, place="x", every_seconds=0.001)
    forgotten.latches()
    thread = forgotten._thread
    assert thread is not None
    del forgotten
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_without_a_thread_whoever_asks_reads(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    watch = server.watch()
    assert watch.latches() == {}
    server.put(STOPPED)
    server.now += 1
    assert watch.latches() == {STOPPED.scope: STOPPED}
    server.is_down = True
    server.now += 1
    server.reads.clear()
    for _ in range(100):
        watch.latches()
    assert len(server.reads) == 1, "patience between two tries"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_forked_child_reads_for_itself_and_has_a_thread_of_its_own(server: Server) -> None:
    watch = begun(server)
    with watch._refreshing:  # as if the parent's thread were reading in the instant of the fork
        child = os.fork()
        if child == 0:
            server.put(STOPPED)
            ok = watch.latches() == {STOPPED.scope: STOPPED} and watch._thread is not None and watch._thread.is_alive()
            os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
