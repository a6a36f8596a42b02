"""The ledger's file: real SQLite, whose every statement may be the last one, and what a power cut leaves of it."""

from __future__ import annotations

import fcntl
import itertools
import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runguard_core.stores import _sqlite_connection, _sqlite_gate
from runguard_core.stores.leases import _leases, _settling
from tests.simulator.dying import Life, running, touch

#: Commits that a power cut may undo, at most.
_KEPT = 12


class Database:
    """One file, all of its connections, and its past states.

    Attributes:
        path: of the file.
        is_careful: every commit is on the disk at once.
        states: what the file was after each commit since the last durable one, that one first.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        self.states: list[bytes] = []
        self.is_careful = False
        self._connections: dict[Life, list[sqlite3.Connection]] = {}
        self._locked: dict[Life, set[int]] = {}
        self._spy: sqlite3.Connection | None = None

    # -- what the production code gets instead of its modules -----------------------------------------------------

    def connect(self, path: str, **more: Any) -> sqlite3.Connection:
        """`sqlite3.connect`, with statements that may kill."""
        database = self

        class Connection(sqlite3.Connection):
            is_durable = False

            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                touch(f"sql {sql[:40]}")
                if sql.startswith("PRAGMA synchronous="):
                    self.is_durable = sql.endswith(("FULL", "EXTRA"))
                done = super().execute(sql, *values)
                if sql == "COMMIT":
                    database.committed(durably=self.is_durable or database.is_careful)
                    touch("committed")
                return done

            def executescript(self, sql: str) -> sqlite3.Cursor:
                touch("script")
                done = super().executescript(sql)
                database.committed(durably=True)  # a new file: what was there before it is of no interest
                return done

        made = sqlite3.connect(path, factory=Connection, **more)
        if running:
            self._connections.setdefault(running[-1], []).append(made)
        return made

    def flock(self, descriptor: int, how: int) -> None:
        """`fcntl.flock`, by processes that may die with the lock in their hands."""
        if how == fcntl.LOCK_UN:
            fcntl.flock(descriptor, how)
            return
        touch("flock")
        fcntl.flock(descriptor, how)
        if running:
            self._locked.setdefault(running[-1], set()).add(descriptor)

    # -- what happens to it -----------------------------------------------------------------------------------------

    def committed(self, *, durably: bool) -> None:
        """Remember the state, and that all before it are on the disk if this one is."""
        if self._spy is None:
            self._spy = sqlite3.connect(self.path, isolation_level=None)
        state = self._spy.serialize()
        self.states = (
            [state] if durably else [*self.states[-_KEPT:], state] if len(self.states) <= _KEPT else [*self.states, state]
        )
        if len(self.states) > _KEPT:
            self.states = self.states[:1] + self.states[-_KEPT + 1 :]

    def left_by(self, life: Life) -> None:
        """The system closes what a dead process had open: transactions are rolled back, locks are free."""
        for descriptor in self._locked.pop(life, ()):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            except OSError:  # it had closed it itself
                continue
        for connection in self._connections.pop(life, ()):
            sqlite3.Connection.close(connection)

    def power_cut(self, chance: random.Random) -> int:
        """Nobody has it open: the file is what it was after some commit since the last durable one; how many are undone."""
        self.close()
        if not self.states:
            return 0
        kept = chance.randrange(len(self.states))
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self.path.write_bytes(self.states[kept])
        self.path.chmod(0o600)
        undone = len(self.states) - 1 - kept
        self.states = [self.states[kept]]
        return undone

    def close(self) -> None:
        """Let go of it."""
        if self._spy is not None:
            self._spy.close()
            self._spy = None


def _standing_in(module: ModuleType, **others: Any) -> ModuleType:
    made = ModuleType(module.__name__)
    made.__dict__.update({name: value for name, value in module.__dict__.items() if not name.startswith("__")} | others)
    return made


@contextmanager
def opened_by(database: Database) -> Iterator[None]:
    """The production code opens and locks through this database; its ids are the same in every run, its batches small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sqlite_connection, "sqlite3", _standing_in(sqlite3, connect=database.connect))
        patch.setattr(_sqlite_gate, "fcntl", _standing_in(fcntl, flock=database.flock))
        numbers = itertools.count(1)
        for module in (_leases, _settling):
            patch.setattr(module, "new_id", lambda: f"{next(numbers):06}")
        patch.setattr(_leases, "_MOST_AT_ONCE", 3)
        yield
