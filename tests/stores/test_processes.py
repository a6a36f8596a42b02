"""Several processes and threads on one file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from runguard_core.ids import new_id
from runguard_core.ledger import Account, CallFilter, Hold, Reserved, Unit
from runguard_core.stores import SqliteStore
from runguard_core.testing._ledger_values import LATER, a_call, a_settlement, holds

CAP = Account("cap", Unit.CALLS, "cap")


def _race(path: str, start: Any, results: Any) -> None:
    """Open at the same moment as the others, then ask 20 times."""
    start.wait()
    store = SqliteStore(path)
    got = 0
    for _ in range(20):
        found = store.reserve(a_call(new_id()), [Hold(CAP, 1, 50, 50)], expires_at=LATER, owner=str(os.getpid()))
        got += isinstance(found, Reserved)
    results.put(got)
    store.close()


def test_eight_processes_open_one_new_file_and_share_a_cap_exactly(tmp_path: Path) -> None:
    """160 attempts against 50: 50 pass, no 'database is locked'."""
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Event(), spawn.Queue()
    path = str(tmp_path / "l.db")
    workers = [spawn.Process(target=_race, args=(path, start, results)) for _ in range(8)]
    for worker in workers:
        worker.start()
    start.set()
    passed = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert sum(passed) == 50
    store = SqliteStore(path)
    assert len(store.calls(CallFilter())) == 50
    assert store.verify() == ()
    store.close()


def test_eight_threads_lose_no_nano_dollar(tmp_path: Path) -> None:
    """One store object, eight threads, every post counted."""
    store = SqliteStore(str(tmp_path / "l.db"))

    def work(index: int) -> None:
        for number in range(25):
            call = a_call(f"{index}-{number}")
            store.reserve(call, holds(10, None)[:2], expires_at=LATER, owner="t")
            store.post(call.id, a_settlement(index + 1))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    posted = store.balances(["day"])["day"]
    assert (posted.posted, posted.pending) == (25 * sum(range(1, 9)), 0)
    assert store.verify() == ()
    store.close()


def test_a_forked_child_opens_its_own_connection(tmp_path: Path) -> None:
    """SQLite's connections do not survive a fork; parent and child both write, and the book is whole."""
    store = SqliteStore(str(tmp_path / "l.db"))
    store.reserve(a_call("parent-1"), holds(1), expires_at=LATER, owner="p")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            store.reserve(a_call("child"), holds(1), expires_at=LATER, owner="c")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    store.reserve(a_call("parent-2"), holds(1), expires_at=LATER, owner="p")
    assert {call.id for call in store.calls(CallFilter())} == {"parent-1", "parent-2", "child"}
    assert store.verify() == ()
    store.close()


def descriptors() -> int:
    """Files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted where the system shows them")
def test_threads_that_end_leave_no_open_files(tmp_path: Path) -> None:
    """A server with a thread for every request must not run out of descriptors."""
    store = SqliteStore(str(tmp_path / "l.db"))

    def work(index: int) -> None:
        store.reserve(a_call(str(index)), holds(1, None), expires_at=LATER, owner="t")

    before = descriptors()
    for index in range(20):
        thread = threading.Thread(target=work, args=(index,))
        thread.start()
        thread.join()
    assert descriptors() <= before + 3
    assert len(store.calls(CallFilter())) == 20
    store.close()


HOLDER = """
import os, signal, sys
from runguard_core.stores import SqliteStore
store = SqliteStore(sys.argv[1])
with store._connections.gate():
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)
        signal.pause()
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_whose_forked_child_lives_on_blocks_nobody(tmp_path: Path) -> None:
    """The child of a fork inherits the parent's place in the queue, and must leave it."""
    path = str(tmp_path / "l.db")
    parent = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.stdout.close()
    assert parent.wait(30) == -signal.SIGKILL
    try:
        store = SqliteStore(path, busy_seconds=1)
        store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
        store.close()
    finally:
        os.kill(child, signal.SIGKILL)
