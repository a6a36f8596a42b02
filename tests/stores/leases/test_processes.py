"""Real processes, signals, forks and threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runguard_core.ledger import (
    Balance,
    Refusal,
)
from runguard_core.stores.leases import Leased
from runguard_core.testing._ledger_values import T0

from .opened import day, leased, plain, reserve, spend

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.stores.leases.opened import leased, reserve, spend
store = leased(Path(sys.argv[1]), background=True)
for _ in range(100):
    spend(store, 3)
reserve(store, 5)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    """A real process, a real signal."""
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, cwd=Path(__file__).parents[3])
    assert ended.returncode == -signal.SIGKILL
    store = leased(tmp_path)
    assert len(store.expire(T0)) == 1
    assert day(store) == Balance(305, 0, 5)
    assert store.verify() == ()
    store.close()


def test_a_live_owner_is_left_alone(tmp_path: Path) -> None:
    """Also by another store of the same process, whose lock on the same journal would be its own."""
    one, two = leased(tmp_path), leased(tmp_path)
    spend(one, 1)
    spend(two, 1)
    one.expire(T0)
    two.expire(T0)
    assert len(plain(tmp_path).owners()) == 2
    for store in (one, two, one, two):
        assert spend(store, 1)
    one.close()
    assert day(two) == Balance(6)
    two.close()
    assert plain(tmp_path).owners() == ()


def test_the_child_of_a_fork_spends_nothing_of_its_parents(tmp_path: Path) -> None:
    """It begins anew; the parent's slice, journal and lock stay the parent's, and when it dies the child may recover it."""
    store = leased(tmp_path)
    spend(store, 1)
    owner = store._leases.owner
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert store._leases.holdings is None
            store.expire(T0)  # the parent lives
            assert spend(store, 2)
            assert store._leases.owner != owner
            os.write(writing, b"x")
            store.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    os.close(writing)
    assert [one.id for one in plain(tmp_path).owners()] == [owner]
    assert spend(store, 1)
    assert day(store) == Balance(4)
    store.close()


ORPHAN = """
import os, signal, sys
from pathlib import Path
from tests.stores.leases.opened import leased, spend
store = leased(Path(sys.argv[1]))
spend(store, 7)
if os.fork() == 0:
    print(os.getpid(), flush=True)
    signal.pause()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_dead_parent_is_recovered_while_its_forked_child_lives(tmp_path: Path) -> None:
    """The lock is not inherited."""
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.stdout.close()
    assert parent.wait(30) == -signal.SIGKILL
    try:
        store = leased(tmp_path)
        assert day(store) == Balance(7)
        assert store._leases.backend.owners() == ()
        store.close()
    finally:
        os.kill(child, signal.SIGKILL)


ENDING = """
import sys
from pathlib import Path
from tests.stores.leases.opened import leased, spend
store = leased(Path(sys.argv[1]), background=True)
for _ in range(50):
    spend(store, 1)
"""


def test_a_program_that_just_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    """Nobody closed the store; the interpreter's end does."""
    subprocess.run([sys.executable, "-c", ENDING, str(tmp_path)], check=True, cwd=Path(__file__).parents[3])
    book = plain(tmp_path)
    assert day(book) == Balance(50)
    assert book.owners() == ()
    assert list((tmp_path / "l.db.leases").glob("*.journal")) == []


def test_interrupts_at_any_statement_leave_no_lock_and_cost_nobody_too_little(tmp_path: Path) -> None:
    """Control-C hundreds of times inside the verbs: what was let through and posted is in the book, exactly or above."""
    program = [sys.executable, "-m", "tests.stores.leases.interrupted", str(tmp_path)]
    done = subprocess.run(program, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


def test_threads_lose_no_nano_dollar(tmp_path: Path) -> None:
    """Eight threads on one store, with its own flushing beside them."""
    store = leased(tmp_path, background=True)

    def work(cost: int) -> None:
        for _ in range(200):
            assert spend(store, cost, 10**9)

    threads = [threading.Thread(target=work, args=(cost,)) for cost in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert day(store) == Balance(200 * sum(range(1, 9)))
    assert store.verify() == ()
    store.close()


def test_a_full_disk_where_the_journal_should_be_leaves_calls_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room is an error when the journal is made, never a signal later; the program goes on."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    store = leased(tmp_path)
    assert spend(store, 1)
    assert store._leases.holdings is None
    assert list((tmp_path / "l.db.leases").glob("*.journal")) == []
    store.close()


def test_files_are_private(tmp_path: Path) -> None:
    """0600 in 0700."""
    store = leased(tmp_path)
    spend(store, 1)
    folder = tmp_path / "l.db.leases"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    store.close()


def test_a_short_script_makes_no_journal_no_folder_and_no_thread(tmp_path: Path) -> None:
    """Sixteen calls are plain transactions."""
    store = Leased(plain(tmp_path), str(tmp_path / "l.db.leases"))
    before = threading.active_count()
    for _ in range(16):
        assert spend(store, 1)
    assert not (tmp_path / "l.db.leases").exists()
    assert threading.active_count() == before
    assert spend(store, 1)
    assert (tmp_path / "l.db.leases").exists()
    assert isinstance(reserve(store, 10_000), Refusal)
    store.close()
