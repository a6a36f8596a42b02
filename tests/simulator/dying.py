"""Where a simulated process may die: at every I/O. A dead one does none any more, whatever its `finally` blocks try."""

from __future__ import annotations


class Died(BaseException):
    """`kill -9` of the simulated process that runs. No code of ours catches it."""


class Life:
    """Whether a process lives, and after how many more I/Os it will not.

    Attributes:
        name: of the process.
        is_dead: it does nothing any more.
        fuse: how many I/Os are left; None for enough.
        io_count: how many it has done.
        was_torn: its last write was cut in the middle.
        trace: what they were, the latest last.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.fuse: int | None = None
        self.io_count = 0
        self.was_torn = False
        self.trace: list[str] = []

    def io(self, what: str) -> None:
        """Something of the outside is about to be touched."""
        if self.is_dead:
            raise Died(self.name)
        self.io_count += 1
        self.trace.append(what)
        del self.trace[:-8]
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.is_dead = True
                raise Died(self.name)


#: The process whose code runs now; None for the simulator itself.
running: list[Life] = []


def touch(what: str) -> None:
    """An I/O of whoever runs."""
    if running:
        running[-1].io(what)
