"""A simulated machine: clocks that jump, journals that power cuts shorten, words that its processes share.

What leases ask of a host goes through `Host`; `SimulatedHost` answers for one process from the memory of its `Machine`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from runguard_core.stores.leases._files import WORD_COUNT, JournalFile, Remains, Whose
from runguard_core.stores.leases._host import Host
from tests.simulator.dying import Died, Life

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
#: What of a file reaches the disk together, or not at all, when power fails.
_SECTOR_BYTES = 512


class Memory(bytearray):
    """A journal's bytes: what is written is there at once, as in a mapped file, and a write may be cut by the process's end."""

    life: Life
    chance: random.Random

    def __setitem__(self, place: Any, written: Any) -> None:
        try:
            self.life.io("journal")
        except Died:
            if isinstance(place, slice) and self.life.io_count and not self.life.was_torn and self.chance.random() < 0.5:
                self.life.was_torn = True
                start = place.start or 0
                kept = self.chance.randrange(len(written))
                super().__setitem__(slice(start, start + kept), written[:kept])
            raise
        super().__setitem__(place, written)

    def close(self) -> None:
        """A mapping is closed; a bytearray need not be."""


@dataclass
class File:
    """A journal on the machine's disk: its bytes, those that are safe from a power cut, and who has it locked."""

    memory: Memory
    safe: bytes
    holder: Life | None


@dataclass
class Machine:
    """What outlives processes, and what does not outlive a power cut.

    Attributes:
        name: of the host.
        ahead: how far its wall clock is wrong.
        boots: how often it was started.
        files: journals by path; words: shared numbers by path.
    """

    name: str
    chance: random.Random
    elapsed: Callable[[], float]
    ahead: timedelta = timedelta()
    boots: int = 0
    files: dict[str, File] = field(default_factory=dict)
    words: dict[str, memoryview] = field(default_factory=dict)

    def sync(self) -> None:
        """The system writes to the disk what it likes, when it likes."""
        for file in self.files.values():
            if self.chance.random() < 0.3:
                file.safe = bytes(file.memory)

    def power_cut(self) -> None:
        """Nobody lives: of each journal some sectors are as they were written last and some as the disk had them; or it is gone."""
        self.boots += 1
        self.words.clear()
        for path, file in tuple(self.files.items()):
            file.holder = None
            if self.chance.random() < 0.25:
                del self.files[path]
                continue
            mixed = bytearray(file.safe)
            for at in range(0, len(mixed), _SECTOR_BYTES):
                if self.chance.random() < 0.5:
                    mixed[at : at + _SECTOR_BYTES] = file.memory[at : at + _SECTOR_BYTES]
            file.memory = Memory(mixed)
            file.safe = bytes(mixed)

    def left_by(self, life: Life) -> None:
        """A process is dead: its locks are free."""
        for file in self.files.values():
            if file.holder is life:
                file.holder = None


class SimulatedJournal(JournalFile):
    """`JournalFile` of a simulated process."""

    def __init__(self, machine: Machine, path: str, file: File) -> None:
        self._machine, self.path, self._file, self.memory = machine, path, file, file.memory

    def close(self) -> None:
        self._file.holder = None

    def remove(self) -> None:
        self._file.memory.life.io("unlink")
        self._machine.files.pop(self.path, None)
        self.close()


class SimulatedRemains(Remains):
    """`Remains` of one."""

    def __init__(self, machine: Machine, path: str, file: File, life: Life) -> None:
        self._machine, self._path, self._file, self._life = machine, path, file, life
        self.content = bytes(file.memory)

    def remove(self) -> None:
        self._life.io("unlink")
        self._machine.files.pop(self._path, None)

    def close(self) -> None:
        if self._file.holder is self._life:
            self._file.holder = None


class SimulatedHost(Host):
    """The machine as one process sees it."""

    def __init__(self, machine: Machine, life: Life, waiting: Callable[[float], None]) -> None:
        """`waiting` is what the world does while the process waits."""
        self.name = machine.name
        self._machine, self._life, self._waiting = machine, life, waiting

    def boot_id(self) -> str:
        return f"{self.name}-boot-{self._machine.boots}"

    def place(self, folder: str) -> str:
        return self.name

    def sweep(self, folder: str, known: Any) -> None:
        """Journals of nobody are left where they are: nothing reads them."""

    def monotonic(self) -> float:
        return self._machine.elapsed()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._machine.elapsed()) + self._machine.ahead

    def pause(self, seconds: float) -> None:
        self._life.io("pause")
        self._waiting(seconds)

    def create_journal(self, path: str, size_bytes: int) -> Any:
        self._life.io("create journal")
        if path in self._machine.files:
            raise FileExistsError(path)
        made = Memory(size_bytes)
        made.life, made.chance = self._life, self._machine.chance
        file = self._machine.files[path] = File(made, bytes(size_bytes), self._life)
        self._life.io("journal created")
        return SimulatedJournal(self._machine, path, file)

    def claim(self, path: str) -> Any:
        self._life.io("claim")
        file = self._machine.files.get(path)
        if file is None:
            return Whose.MISSING
        if file.holder is not None:
            return Whose.HELD
        file.holder = self._life
        self._life.io("claimed")
        return SimulatedRemains(self._machine, path, file, self._life)

    def open_words(self, path: str) -> memoryview:
        self._life.io("words")
        found = self._machine.words.get(path)
        if found is None:
            found = self._machine.words[path] = memoryview(bytearray(8 * WORD_COUNT)).cast("q")
        return found

    def start(self, work: Callable[[], None]) -> Any:
        """Nothing runs by itself here: the scheduler does what the thread would."""
        return None
