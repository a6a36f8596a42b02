"""A program that makes guarded calls until it is told to end, as docs/faults.md shows it. Run by test_sigterm.py."""

from __future__ import annotations

import signal
import sys
import threading
from typing import NoReturn

from runguard_core import Guard
from runguard_core.guard._dispatcher import Dispatcher
from tests.faults.opening import opened
from tests.guard.spending import CENT, ONE

URL, HOW = sys.argv[1:3]
Dispatcher.close.__defaults__ = (0.5,)  # the bound of draining, shorter for the test


def listener(_: object) -> None:
    """One that never comes back."""
    if HOW == "stuck":
        threading.Event().wait()


guard = Guard(app="terminated", store=opened(URL), prices=CENT, daily_budget_usd=10, hold_seconds=60, listeners=[listener])


def leave(*_: object) -> NoReturn:
    """SIGTERM as an exception of the main thread: blocks are left, the call in flight is settled, the guard is closed at exit."""
    sys.exit(0)


if HOW != "unprepared":
    signal.signal(signal.SIGTERM, leave)
guard.kill("agent:another", reason="so that the listener hears something", by="the test")
for number in range(1000):
    with guard.model_call("cent", max_output_tokens=1) as call:
        if number == 20:
            print("in flight", flush=True)
            signal.pause()
        call.post(ONE)
