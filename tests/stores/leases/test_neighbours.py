"""Who may take over what somebody else has leased: nobody from a process that lives, and nothing that another ledger needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runguard_core.ledger import Balance, Hold, Reserved
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Host, Leased
from runguard_core.stores.leases._files import JournalFile, Remains, Whose
from runguard_core.testing._ledger_values import DAY, LATER, TURNS, a_call, a_settlement, holds
from tests.stores.leases.test_contract import leased

AT_ONCE: dict[str, Any] = {"lease_after": 0, "background": False}


class Container(Host):
    """Another file system under the same kernel; names and paths are the same, as images and `--network host` make them."""

    def __init__(self, root: Path, boot: str | None = None) -> None:
        super().__init__()
        self._root, self._boot = root, boot
        self.ahead = timedelta()

    def _there(self, path: str) -> str:
        return f"{self._root}{path}"

    def boot_id(self) -> str:
        return self._boot or super().boot_id()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def place(self, folder: str) -> str:
        return super().place(self._there(folder))

    def claim(self, path: str) -> Remains | Whose:
        return super().claim(self._there(path))

    def create_journal(self, path: str, size_bytes: int) -> JournalFile:
        return super().create_journal(self._there(path), size_bytes)

    def open_words(self, path: str) -> memoryview:
        return super().open_words(self._there(path))


def in_child(work: Callable[[], object]) -> None:
    """In another process, which dies without a word."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("boot", [None, "another-boot"], ids=["two containers of one machine", "two machines of one name"])
def test_who_cannot_see_a_journal_does_not_charge_its_living_owner(tmp_path: Path, boot: str | None) -> None:
    """One hostname, one path, two file systems: each sees the other's journal missing, and neither takes it for lost."""
    path = str(tmp_path / "ledger.db")
    here = Leased(SqliteLeases(path), f"{path}.leases", lease_after=0, background=False)
    host = Container(tmp_path / "root", boot)
    there = Leased(SqliteLeases(path), f"{path}.leases", lease_after=0, background=False, host=host)
    for store in (here, there, here, there):
        assert isinstance(store.reserve(a_call(), holds(1), expires_at=LATER, owner="t"), Reserved)
        assert store.balances([DAY.key])[DAY.key].assumed == 0
    assert len(here.backend.owners()) == 2
    host.ahead = timedelta(minutes=2)
    there.expire(LATER - timedelta(days=1))
    assert len(here.backend.owners()) == 1, "who is not heard of for a minute is given up"
    for store in (here, there):
        store.close()


def test_deleting_the_journals_of_a_living_process_charges_nothing(tmp_path: Path) -> None:
    """Its leases are settled from memory, and it goes on."""
    store = leased(tmp_path, lease_after=0, background=False)
    store.reserve(a_call("one"), holds(2), expires_at=LATER, owner="t")
    shutil.rmtree(tmp_path / "ledger.db.leases")
    in_child(lambda: leased(tmp_path).balances([DAY.key]))
    store.post("one", a_settlement(2))
    assert store.balances([DAY.key])[DAY.key] == Balance(2)
    assert store.verify() == ()
    store.close()


def crash(folder: Path) -> None:
    """A process posts a call, and dies before the book has heard of it."""

    def work() -> None:
        store = leased(folder, lease_after=0, background=False)
        store.reserve(a_call("one"), holds(2), expires_at=LATER, owner="t")
        store.post("one", a_settlement(2))

    in_child(work)


def test_who_reads_a_copy_of_a_ledger_leaves_the_originals_journals_alone(tmp_path: Path) -> None:
    """The copy learns what the dead process did, and so does the original."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    crash(original)
    copy.mkdir()
    for file in original.glob("ledger.db*"):
        if file.is_file():
            shutil.copy(file, copy)
    for folder in (copy, original):
        store = leased(folder)
        assert store.balances([DAY.key, TURNS.key]) == {DAY.key: Balance(2), TURNS.key: Balance(1)}
        store.close()
    assert not list(original.glob("ledger.db.leases/*.journal"))


def test_a_ledger_that_was_moved_after_a_crash_finds_its_journals(tmp_path: Path) -> None:
    """They lie beside it, whatever path the dead process knew."""
    (tmp_path / "old").mkdir()
    crash(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    store = leased(tmp_path / "new")
    assert store.balances([DAY.key, TURNS.key]) == {DAY.key: Balance(2), TURNS.key: Balance(1)}
    assert not list((tmp_path / "new").glob("ledger.db.leases/*.journal"))
    store.close()


def test_two_paths_to_one_ledger_in_one_process_are_one_neighbour(tmp_path: Path) -> None:
    """Opening its own journal a second time would end the process's lock on it: others would take it for dead."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    here = leased(tmp_path / "real", lease_after=0, background=False)
    here.reserve(a_call("one"), holds(2), expires_at=LATER, owner="t")
    there = leased(tmp_path / "link", lease_after=0, background=False)
    for _ in range(2):
        there.expire(LATER - timedelta(days=1))
        in_child(lambda: leased(tmp_path / "real").expire(LATER - timedelta(days=1)))
    assert len(here.backend.owners()) == 1
    here.post("one", a_settlement(2))
    assert here.balances([DAY.key])[DAY.key] == Balance(2)
    for store in (here, there):
        store.close()


def test_a_folder_named_from_here_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may change its working directory."""
    monkeypatch.chdir(tmp_path)
    store = Leased(SqliteLeases("ledger.db"), "ledger.db.leases", lease_after=0, background=False)
    monkeypatch.chdir("/")
    store.reserve(a_call("one"), holds(2), expires_at=LATER, owner="t")
    assert [Path(owner.journal).parent for owner in store.backend.owners()] == [tmp_path / "ledger.db.leases"]
    store.close()


@pytest.mark.parametrize("is_void", [False, True])
def test_a_call_that_two_processes_end_leaves_its_rest_once(tmp_path: Path, is_void: bool) -> None:
    """A job that was handed on, and whose first process ends it too: what it left is spent once, not by both."""
    first, second = leased(tmp_path, **AT_ONCE), leased(tmp_path, **AT_ONCE)
    for store in (first, second):
        assert isinstance(store.reserve(a_call(), [Hold(DAY, 1, 100, 100)], expires_at=LATER, owner="t"), Reserved)
    call = a_call()
    assert isinstance(first.reserve(call, [Hold(DAY, 60, 100, 100)], expires_at=LATER, owner="t"), Reserved)
    first.tick()
    for store in (second, first):
        if is_void:
            store.void(call.id, a_settlement(0, amounts={}))
        else:
            store.post(call.id, a_settlement(10, amounts={DAY.key: 10}))
    first.tick()
    passed = 0
    for store in (first, second):
        for _ in range(150):
            passed += isinstance(store.reserve(a_call(), [Hold(DAY, 1, 100, 100)], expires_at=LATER, owner="t"), Reserved)
        store.tick()
    spent = 2 + (0 if is_void else 10) + passed
    assert spent == 100
    second.tick()
    assert (first.backend.balances([DAY.key])[DAY.key].leased, first.verify()) == (0, ())
    first.close()
    second.close()
