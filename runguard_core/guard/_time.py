"""A clock for windows that a jump of the wall clock cannot poison."""

from __future__ import annotations

from datetime import datetime, timedelta

from runguard_core.clock import Clock

#: A wall clock that runs ahead of the stopwatch by more than this is not believed at once.
JUMP_SECONDS = 300.0
#: ... but when it stays there for so long it is (a laptop slept, a clock was set right).
BELIEVED_AFTER_SECONDS = 600.0


class SteadyClock:
    """Wall time, held against the stopwatch.

    A jump ahead of more than five minutes is ignored for ten minutes, then accepted; a jump back only slows stamps down
    (windows never reopen anyway).
    """

    __slots__ = ("_clock", "_jumped_at", "_mono", "_wall", "jump_count")

    def __init__(self, clock: Clock) -> None:
        """Anchor both readings now."""
        self._clock = clock
        self._wall, self._mono = clock.now(), clock.monotonic()
        self._jumped_at: float | None = None
        self.jump_count = 0

    def now(self) -> datetime:
        """The instant by which windows are chosen (UTC)."""
        wall, mono = self._clock.now(), self._clock.monotonic()
        elapsed = mono - self._mono
        ahead = (wall - self._wall).total_seconds() - elapsed
        if ahead <= JUMP_SECONDS:
            if elapsed > JUMP_SECONDS:
                self._wall, self._mono = wall, mono
            self._jumped_at = None
            return wall
        return self._after_jump(wall, mono, elapsed)

    def monotonic(self) -> float:
        """Seconds on the stopwatch."""
        return self._clock.monotonic()

    def _after_jump(self, wall: datetime, mono: float, elapsed: float) -> datetime:
        if self._jumped_at is None:
            self._jumped_at = mono
            self.jump_count += 1
        if mono - self._jumped_at >= BELIEVED_AFTER_SECONDS:
            self._wall, self._mono, self._jumped_at = wall, mono, None
            return wall
        return self._wall + timedelta(seconds=elapsed)
