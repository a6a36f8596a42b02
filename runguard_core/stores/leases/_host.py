"""`Host`: the machine as leases see it. Everything they ask of it goes through here, so that tests can stand in for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from runguard_core.stores.leases._files import (
    JournalFile,
    Remains,
    Whose,
    claim,
    create_journal,
    folder_id,
    open_words,
    sweep,
)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Host:
    """Clocks, files and threads of this machine; a subclass is another one."""

    def __init__(self) -> None:
        """Ask who we are."""
        self.name = socket.gethostname()

    def boot_id(self) -> str:
        """Which life of the machine this is: what was not on the disk before it is gone."""
        try:
            return _BOOT_ID.read_text("ascii").strip()
        except OSError:  # no Linux: minutes since 1970 at which it started
            return f"{self.name}-{round((time.time() - time.monotonic()) / 60)}"

    def place(self, folder: str) -> str:
        """Which machine this is, as far as its journals go: many containers and virtual machines have one name."""
        return f"{self.name}/{folder_id(folder)}"

    def monotonic(self) -> float:
        """A stopwatch, seconds."""
        return time.monotonic()

    def now(self) -> datetime:
        """The wall clock (UTC)."""
        return datetime.now(UTC)

    def pause(self, seconds: float) -> None:
        """Wait for others to give back what they do not use."""
        time.sleep(seconds)

    def create_journal(self, path: str, size_bytes: int) -> JournalFile:
        """A new journal that is locked until it is closed or the process ends.

        Raises:
            OSError: it cannot be made, or there is no room for all of it.
        """
        return create_journal(path, size_bytes)

    def claim(self, path: str) -> Remains | Whose:
        """What a dead process has left in its journal, locked; or that it lives, or that there is none."""
        return claim(path)

    def sweep(self, folder: str, known: Collection[str]) -> None:
        """Delete old journals that belong to no owner any more: their process died before it enlisted, or after it was closed."""
        sweep(folder, known)

    def open_words(self, path: str) -> memoryview:
        """Numbers of 64 bits that every process of this host shares, by which one asks others to give leases back."""
        return open_words(path)

    def start(self, work: Callable[[], None]) -> threading.Thread:
        """Run it beside the program, until the program ends."""
        thread = threading.Thread(target=work, name="runguard-leases", daemon=True)
        thread.start()
        return thread
