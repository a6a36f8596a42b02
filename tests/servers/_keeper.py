"""Ends servers and deletes their folder when the tests are gone: a program of its own, which waits for the end of its input.

    python _keeper.py FOLDER

Its input says a line for each server: "keep PID SIGNAL" and "drop PID". The input ends when the process that started the keeper
does, however it ends; then every server still kept gets its signal, after three seconds SIGKILL, and the folder is deleted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time

_PATIENCE_SECONDS = 3.0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _end(kept: dict[int, int]) -> None:
    for pid, how in kept.items():
        with contextlib.suppress(OSError):
            os.kill(pid, how)
    until = time.monotonic() + _PATIENCE_SECONDS
    while any(map(_lives, kept)) and time.monotonic() < until:
        time.sleep(0.01)
    for pid in kept:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Keep the account until the input ends."""
    kept: dict[int, int] = {}
    for line in sys.stdin:
        verb, pid, *how = line.split()
        if verb == "keep":
            kept[int(pid)] = int(how[0])
        else:
            kept.pop(int(pid), None)
    _end(kept)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    for quiet in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # whoever stops the tests stops it by ending its input
        signal.signal(quiet, signal.SIG_IGN)
    main()
