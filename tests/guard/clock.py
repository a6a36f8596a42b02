"""A clock that tests set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Wall and stopwatch go together unless told otherwise."""

    def __init__(self, start: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)) -> None:
        self.wall, self.mono = start, 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def advance(self, **delta: float) -> None:
        step = timedelta(**delta)
        self.wall += step
        self.mono += step.total_seconds()
