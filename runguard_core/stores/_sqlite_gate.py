"""The queue of writers: an flock on a file beside the ledger, because SQLite's own waiting lets one writer starve the others."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # pragma: no cover - no flock outside POSIX: SQLite's own waiting must do
    fcntl = None  # type: ignore[assignment]  # a module or nothing

_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.0001, 0.001


def open_gate(path: str) -> int:
    """A descriptor of the gate of a ledger; the gate is made on first sight."""
    return os.open(f"{path}.gate", os.O_RDWR | os.O_CREAT, 0o600)


@contextlib.contextmanager
def queued(descriptor: int, busy_seconds: float) -> Iterator[None]:
    """Queue with the other writers, for as long as SQLite would wait and no longer."""
    if fcntl is None:  # type: ignore[unreachable,unused-ignore]  # pragma: no cover - see above
        yield  # type: ignore[unreachable,unused-ignore]
        return
    try:  # from here on: an interrupt between taking the lock and the block would keep it
        _take(descriptor, busy_seconds)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _take(descriptor: int, busy_seconds: float) -> None:
    """Take the lock. Asking again and again is what bounds the wait: whoever holds it may have been suspended."""
    until, pause = time.monotonic() + busy_seconds, _LEAST_PAUSE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise sqlite3.OperationalError("the ledger is locked") from None
            time.sleep(pause)
            pause = min(2 * pause, _MOST_PAUSE_SECONDS)
        else:
            return


def explanation_of(error: sqlite3.Error, path: str) -> tuple[str, str, str]:
    """What is told of an error of the driver: where, why, and the way out."""
    text = str(error)
    ways = {
        "locked": "another program holds the file; close it, or wait",
        "busy": "another program holds the file; close it, or wait",
        "readonly": "make the file and its folder writable, or name another store",
        "disk I/O": "check the disk: it may be full, broken, or the file at a limit of size; what was recorded is safe",
        "full": "free some space on the disk; what was recorded is safe",
        "malformed": f"it is damaged: move {path} aside (nothing in it is overwritten) and start again",
        "not a database": f"it is damaged or no ledger: move {path} aside and start again",
        "unable to open": "check that the folder exists and can be written, or name another store",
    }
    return path, text, next((way for word, way in ways.items() if word in text), "run `runguard verify`")
