"""Opening, locking and mending: everything about the file that is not the book.

One connection per process and thread, closed with its thread. Writers queue at an flock beside the file, because SQLite's own
waiting lets one writer starve the others; opening, the switch to WAL and the schema go through the same gate.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from runguard_core.errors import RunguardError, StoreUnavailableError
from runguard_core.stores._sqlite_gate import explanation_of, open_gate, queued
from runguard_core.stores._sqlite_versions import check_version, create_tables
from runguard_core.stores._sqlite_words import Words

_BUSY_SECONDS = 30.0


class _Opened:
    """One thread's connection and its place in the queue; closed with the thread."""

    __slots__ = ("__weakref__", "connection", "gate", "inode", "words")

    def __init__(self, path: str, busy_seconds: float) -> None:
        self.gate = open_gate(path)
        try:
            self.connection = sqlite3.connect(
                path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
            )
        except BaseException:
            self.leave_gate()
            raise
        self.connection.row_factory = sqlite3.Row
        self.inode = 0
        self.words = Words()

    def leave_gate(self) -> None:
        """Give the queue's descriptor back; twice is harmless."""
        gate, self.gate = self.gate, -1
        if gate >= 0:
            with contextlib.suppress(OSError):
                os.close(gate)

    def close(self) -> None:
        """Close both; twice is harmless."""
        self.leave_gate()
        self.connection.close()

    def __del__(self) -> None:
        """The thread ended, or the store was let go of."""
        if hasattr(self, "connection"):
            self.close()


class Connections:
    """The connections of one file."""

    def __init__(self, path: str, *, busy_seconds: float = _BUSY_SECONDS) -> None:
        """Open once, so that a file that cannot be used is told at once.

        Raises:
            StoreError: naming the file, why, and the way out.
        """
        self.path = str(Path(path).absolute())
        self._busy_seconds = busy_seconds
        self._local = threading.local()
        self._all: weakref.WeakSet[_Opened] = weakref.WeakSet()
        self._lock = threading.Lock()
        _every.add(self)
        self.get()

    def get(self) -> sqlite3.Connection:
        """This thread's connection, opened on first use; checks that the file is still the same."""
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is None:
            with self.errors():
                opened = self._open()
        self._check_same(opened)
        return opened.connection

    def _check_same(self, opened: _Opened) -> None:
        """Whether the file is the one that was opened: writing on into another would lose everything silently."""
        try:
            found = os.stat(self.path)  # noqa: PTH116  asked at every verb
            inode, size_bytes = found.st_ino, found.st_size
        except OSError:
            inode = size_bytes = 0
        if inode != opened.inode or not size_bytes:
            reason = "the ledger file was deleted, emptied or replaced while it was open"
            raise StoreUnavailableError(self.path, reason, "restart the program; put the file back to keep its history")

    def words(self) -> Words:
        """The dictionaries of this thread's connection."""
        opened: _Opened = self._local.opened
        return opened.words

    def _open(self) -> _Opened:
        if Path(self.path).is_dir():
            raise StoreUnavailableError(self.path, "it is a folder", "name a file in it")
        exists = Path(self.path).exists() and Path(self.path).stat().st_size > 0
        if not exists:
            Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        inode = os.stat(self.path).st_ino  # noqa: PTH116  before it is opened: who waits at the gate may find it replaced
        opened = self._local.opened = _Opened(self.path, self._busy_seconds)
        opened.inode = inode
        try:
            with self.gate():
                self._prepare(opened.connection)
                self._check_same(opened)
        except BaseException:
            del self._local.opened
            opened.close()
            raise
        with self._lock:
            self._all.add(opened)
        return opened

    def start_afresh(self) -> None:
        """In a forked child: leave the parent's connections untouched, as SQLite asks, and its place in the queue."""
        for opened in self._all:
            opened.leave_gate()
            _inherited.append(opened)
        self._all, self._lock, self._local = weakref.WeakSet(), threading.Lock(), threading.local()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        if tables:  # before anything is changed: it may be somebody else's
            check_version(connection, self.path)
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        # NORMAL loses nothing when the process dies; after a power cut the last transactions may be missing
        connection.execute("PRAGMA synchronous=NORMAL")
        if not tables:
            create_tables(connection)

    def gate(self) -> AbstractContextManager[None]:
        """This thread's place in the queue of writers."""
        return queued(self._local.opened.gate, self._busy_seconds)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What this thread writes inside the block is one transaction. Others wait for it; an error undoes all of it."""
        with self.writing():
            self._local.is_together = True
            try:
                yield
            finally:
                self._local.is_together = False

    @contextlib.contextmanager
    def writing(self, *, durably: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        Args:
            durably: it is on the disk when the block ends, with everything before it: it survives a power cut.
        """
        with self.errors():
            connection = self.get()
            if getattr(self._local, "is_together", False):
                yield connection
                return
            with self.gate():
                self._check_same(self._local.opened)  # a migration may have come between
                if connection.in_transaction:  # an interrupt came between its beginning and the block below
                    connection.execute("ROLLBACK")
                connection.execute("PRAGMA synchronous=FULL" if durably else "PRAGMA synchronous=NORMAL")
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    self.words().refresh(connection)
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    self.words().forget()
                    # a full disk has rolled back already; a second ROLLBACK would hide the real error
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read outside a transaction of our own."""
        with self.errors():
            yield self.get()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Several reads that see one state of the book."""
        with self.errors():
            connection = self.get()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                self.words().refresh(connection)
                yield connection
            finally:
                with contextlib.suppress(sqlite3.OperationalError):  # a broken file has ended it already
                    connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """The one place where the driver's errors become ours."""
        try:
            yield
        except RunguardError:
            raise
        except sqlite3.Error as error:
            raise StoreUnavailableError(*explanation_of(error, self.path)) from error
        except ValueError as error:  # a page of nothing where a row was: SQLite hands it over as if it were one
            malformed = sqlite3.DatabaseError(f"malformed row: {error}")
            raise StoreUnavailableError(*explanation_of(malformed, self.path)) from error
        except OSError as error:
            way = "choose a place that can be written (store = ...), or free some space"
            raise StoreUnavailableError(self.path, f"{type(error).__name__}: {error.strerror or error}", way) from error

    def close(self) -> None:
        """Close the connections this process opened."""
        with self._lock:
            mine = list(self._all)
            self._all.clear()
        for opened in mine:
            opened.close()
        self._local = threading.local()


_every: weakref.WeakSet[Connections] = weakref.WeakSet()
#: Connections of the parent, in a forked child: kept for ever, because closing them is not safe there.
_inherited: list[_Opened] = []


def _after_fork() -> None:
    for connections in tuple(_every):
        connections.start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
