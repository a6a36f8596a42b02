"""The gate beside a ledger: who opens, writes or migrates waits there, and not for ever."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from runguard_core.errors import StoreUnavailableError
from runguard_core.stores import SqliteStore, _sqlite_gate
from runguard_core.stores._sqlite_gate import open_gate


def tables_of(path: Path) -> int:
    """How many tables a file has, asked without the store."""
    db = sqlite3.connect(path)
    try:
        found: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return found
    finally:
        db.close()


def test_whoever_opens_waits_until_another_has_made_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that make them at once would tell one of them that the database is locked."""
    path = tmp_path / "l.db"
    gate, is_waiting, may_go_on = open_gate(str(path)), threading.Event(), threading.Event()
    fcntl.flock(gate, fcntl.LOCK_EX)

    def pause(_: float) -> None:
        is_waiting.set()
        may_go_on.wait(10)

    monkeypatch.setattr(_sqlite_gate.time, "sleep", pause)
    opener = threading.Thread(target=lambda: SqliteStore(str(path)).close())
    opener.start()
    assert is_waiting.wait(10)
    assert tables_of(path) == 0
    fcntl.flock(gate, fcntl.LOCK_UN)
    may_go_on.set()
    opener.join(10)
    os.close(gate)
    assert tables_of(path) > 0


def test_a_writer_that_holds_the_gate_for_ever_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    """A suspended process, a broken network drive: the wait is bounded."""
    path = tmp_path / "l.db"
    store, gate = SqliteStore(str(path), busy_seconds=0.05), open_gate(str(path))
    fcntl.flock(gate, fcntl.LOCK_EX)
    with pytest.raises(StoreUnavailableError, match=r"l\.db.*locked"):
        store.announce([])
    fcntl.flock(gate, fcntl.LOCK_UN)
    os.close(gate)
    store.close()
