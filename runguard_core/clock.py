"""Time as a parameter: `now()` stamps, `monotonic()` measures."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """Two readings that must not be mixed: a stamp for the book, a stopwatch for durations."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a stopwatch that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clock: wall time in UTC, seconds of `time.monotonic`."""

    __slots__ = ()

    now = staticmethod(partial(datetime.now, UTC))
    monotonic = staticmethod(time.monotonic)
