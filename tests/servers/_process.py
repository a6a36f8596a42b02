"""One folder and one keeper for a process of tests; servers as children whose output can be waited for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

#: A server that says nothing for so long does not start.
START_SECONDS = 60.0
#: A socket's path has room for about a hundred characters.
_MOST_CHARS = 60


class Place:
    """The folder of this process's servers, and their keeper."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        root = tempfile.gettempdir()
        self.folder = Path(tempfile.mkdtemp(prefix="rg-", dir=root if len(root) < _MOST_CHARS else "/tmp"))
        self.folder.chmod(0o711)  # a server of another user must get through
        self.processes: set[Process] = set()
        self._lock = threading.Lock()
        self._count = 0
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("_keeper.py")), str(self.folder)],
            stdin=subprocess.PIPE, text=True, start_new_session=True, cwd="/",
        )  # fmt: skip

    def new_folder(self, name: str) -> Path:
        """A folder that nothing uses yet."""
        with self._lock:
            self._count += 1
            folder = self.folder / f"{name}{self._count}"
        folder.mkdir(mode=0o700)
        return folder

    def tell(self, *words: object) -> None:
        """Say a line to the keeper."""
        assert self._keeper.stdin is not None
        with self._lock:
            self._keeper.stdin.write(" ".join(map(str, words)) + "\n")
            self._keeper.stdin.flush()

    def close(self) -> None:
        """End what still runs, delete the folder."""
        for process in tuple(self.processes):
            process.end()
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(START_SECONDS)


_places: list[Place] = []


def place() -> Place:
    """This process's place, made on first use; the child of a fork gets one of its own."""
    if not _places or _places[-1].owner != os.getpid():
        _places.append(Place())
    return _places[-1]


def clear() -> None:
    """End every server of this process."""
    while _places:
        last = _places.pop()
        if last.owner == os.getpid():
            last.close()


class Log:
    """What a server says, line by line."""

    def __init__(self, stream: Any) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Any) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def wait_for(self, *words: str, after: int = 0, seconds: float = START_SECONDS) -> str:
        """The first line from number `after` on that holds one of the words; "" when the server ended before.

        Raises:
            TimeoutError: nothing of the kind was said in time.
        """
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                found = next((line for line in self._lines[after:] if any(word in line for word in words)), None)
                if found is not None or self._is_over:
                    return found or ""
                if not self._changed.wait(until - time.monotonic()):
                    raise TimeoutError(f"none of {words} in {seconds} s:\n{self.tail()}")

    def __len__(self) -> int:
        return len(self._lines)

    def tail(self) -> str:
        """The last lines, for messages."""
        return "\n".join(self._lines[-15:])

    def end(self) -> None:
        """Wait until everything has been read."""
        self._thread.join(START_SECONDS)


class Process:
    """A running server. `quick` is the signal that ends it at once and in order."""

    def __init__(
        self, command: Sequence[str], *, folder: Path, quick: signal.Signals, user: dict[str, Any] | None = None
    ) -> None:
        self.command = list(command)
        self._child = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, text=True,
            errors="replace", start_new_session=True, env=_plain_environment(), **(user or {}),
        )  # fmt: skip
        self.pid, self._quick = self._child.pid, quick
        place().tell("keep", self.pid, int(quick))
        place().processes.add(self)
        self.log = Log(self._child.stdout)

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def end(self, how: signal.Signals | None = None) -> None:
        """Send a signal and wait until the process is gone; one that is gone already is left alone."""
        if self._child.poll() is None:
            self._child.send_signal(how or self._quick)
            try:
                self._child.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        if self in place().processes:
            place().processes.remove(self)
            place().tell("drop", self.pid)
        self.log.end()

    def send(self, how: signal.Signals) -> None:
        """Only send a signal, SIGSTOP for example."""
        self._child.send_signal(how)


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")
    return {"LC_ALL": "C"} | {name: os.environ[name] for name in kept if name in os.environ}


def eventually(holds: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first true answer within the time; for what no log line announces."""
    until, pause = time.monotonic() + seconds, 0.001
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > until:
            raise TimeoutError(f"still {found!r} after {seconds} s")
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def remove(folder: Path) -> None:
    """Delete a server's folder."""
    shutil.rmtree(folder, ignore_errors=True)
