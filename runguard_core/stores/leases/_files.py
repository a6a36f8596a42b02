"""Files of leases: a journal that outlives its process, what is left of somebody else's, and words that processes share.

A journal is mapped into memory: what is written there is the kernel's the moment it is written, and survives `kill -9`. It is
locked with `lockf`, which ends with the process and is not inherited by a fork; closing *any* descriptor of the file in this
process ends it too, so nobody here may open a journal of this process a second time (`_mine`).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import struct
import time
from collections.abc import Collection
from enum import Enum
from pathlib import Path

from runguard_core.ids import new_id

try:
    import fcntl
except ImportError:  # pragma: no cover - leases need POSIX; without them the store is plain
    fcntl = None  # type: ignore[assignment]  # a module or nothing

WORD_COUNT = 512
_WORD_BYTES = struct.calcsize("q")
#: Longest journal that is read: a longer file is none of ours.
MOST_JOURNAL_BYTES = 1 << 28
_YOUNG_SECONDS = 3600.0
#: Journals of this process, by device and number, for one file may have many paths: no other descriptor of them is opened here.
_mine: set[tuple[int, int]] = set()


class Whose(Enum):
    """Why a journal cannot be taken over."""

    HELD = "its process lives"
    MISSING = "there is no such file"
    FOREIGN = "it is not a private file of this user"


class JournalFile:
    """This process's journal.

    Attributes:
        path: where it is.
        memory: its bytes, writable.
    """

    def __init__(self, path: str, descriptor: int, size_bytes: int) -> None:
        """Made by `create_journal`."""
        self.path, self._descriptor = path, descriptor
        self.memory = mmap.mmap(descriptor, size_bytes)
        self._identity = _identity(os.fstat(descriptor))
        _mine.add(self._identity)

    def close(self) -> None:
        """Let go of the file and its lock; what is in it stays."""
        self.memory.close()
        os.close(self._descriptor)
        _mine.discard(self._identity)

    def remove(self) -> None:
        """Close it, and delete it: everything in it is in the book."""
        with contextlib.suppress(FileNotFoundError):
            Path(self.path).unlink()
        self.close()


def create_journal(path: str, size_bytes: int) -> JournalFile:
    """See `Host.create_journal`. All of it is allocated now: a full disk is an error here, never a signal later."""
    if fcntl is None:  # type: ignore[unreachable,unused-ignore]  # pragma: no cover - see above
        raise OSError("leases need POSIX locks")  # type: ignore[unreachable,unused-ignore]
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size_bytes)
        else:  # pragma: no cover - macOS: writing is allocating
            os.write(descriptor, bytes(size_bytes))
        made = JournalFile(path, descriptor, size_bytes)
    except BaseException:
        os.close(descriptor)
        Path(path).unlink()
        raise
    return made


class Remains:
    """A journal whose process is gone, locked for us.

    Attributes:
        content: every byte of it.
    """

    def __init__(self, path: str, descriptor: int) -> None:
        """Read it."""
        self._path, self._descriptor = path, descriptor
        self.content = os.pread(descriptor, min(os.fstat(descriptor).st_size, MOST_JOURNAL_BYTES), 0)

    def remove(self) -> None:
        """It is in the book."""
        with contextlib.suppress(OSError):
            Path(self._path).unlink()

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def claim(path: str) -> Remains | Whose:
    """See `Host.claim`."""
    try:
        if _identity(os.stat(path)) in _mine:  # noqa: PTH116  before anything is opened
            return Whose.HELD
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return Whose.MISSING
    except OSError:
        return Whose.FOREIGN
    try:
        if not _is_private(os.fstat(descriptor)):
            os.close(descriptor)
            return Whose.FOREIGN
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Remains(path, descriptor)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return Whose.HELD
    except BaseException:
        os.close(descriptor)
        raise


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _is_private(found: os.stat_result) -> bool:
    mine = found.st_uid == os.geteuid()
    return stat.S_ISREG(found.st_mode) and mine and not found.st_mode & 0o077 and found.st_size <= MOST_JOURNAL_BYTES


def sweep(folder: str, known: Collection[str]) -> None:
    """See `Host.sweep`. A young one may be about to be enlisted."""
    for path in Path(folder).glob("*.journal") if Path(folder).is_dir() else ():
        with contextlib.suppress(OSError):
            if str(path) in known or time.time() - path.stat().st_mtime < _YOUNG_SECONDS:
                continue
            remains = claim(str(path))
            if isinstance(remains, Remains):
                remains.remove()
                remains.close()


def open_words(path: str) -> memoryview:
    """See `Host.open_words`."""
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size < WORD_COUNT * _WORD_BYTES:  # written, not only made longer: a full disk is an error here, never a signal later
            os.pwrite(descriptor, bytes(WORD_COUNT * _WORD_BYTES - size), size)
        return memoryview(mmap.mmap(descriptor, WORD_COUNT * _WORD_BYTES)).cast("q")
    finally:
        os.close(descriptor)


def folder_id(path: str) -> str:
    """What tells this folder from every other one that is called the same; "" where it is not there or cannot be written."""
    try:
        descriptor = os.open(str(Path(path) / "folder"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not os.fstat(descriptor).st_size:
            os.pwrite(descriptor, new_id().encode("ascii"), 0)
        return os.pread(descriptor, 64, 0).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _forget_journals() -> None:
    """The child of a fork has none: its parent's locks are not its own."""
    _mine.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_journals)
