"""A program that is interrupted inside the verbs of its leases, and then looks into its book.

`python -m tests.stores.leases.interrupted FOLDER`

A program of its own: the tests' coverage would be interrupted inside locks of its own.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.stores.leases.opened import day, leased, plain, spend


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(tmp_path: Path) -> None:
    """Raise where a promise is broken."""
    store = leased(tmp_path)
    before = signal.signal(signal.SIGALRM, _interrupt)
    done = hits = turn = 0
    try:
        while hits <= 300:
            turn += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00002 * (1 + turn % 10))  # any statement, however fast the machine is
                if spend(store, 1, 10**9):
                    done += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
                turn += 0  # one that was on its way arrives here
            except KeyboardInterrupt:
                hits += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    store.tick()
    balance = day(store)
    assert done <= balance.posted + balance.pending <= done + hits + 1
    assert store.verify() == ()
    store.close()
    assert plain(tmp_path).owners() == ()
    last = day(plain(tmp_path))
    assert (last.pending, last.leased) == (0, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
