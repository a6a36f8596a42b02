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

    __slots__ = ("_calm_until", "_clock", "_jumped_at", "_mono", "_wall", "jump_count", "monotonic")

    def __init__(self, clock: Clock) -> None:
        """Anchor both readings now."""
        self._clock = clock
        self.monotonic = clock.monotonic
        self._jumped_at: float | None = None
        self.jump_count = 0
        self._anchor(clock.now(), clock.monotonic())

    def now(self) -> datetime:
        """The instant by which windows are chosen (UTC).

        Within five minutes after the anchor no jump can have been larger than that, so the stopwatch need not be asked.
        """
        wall = self._clock.now()
        if self._wall <= wall <= self._calm_until:
            self._jumped_at = None
            return wall
        return self._held_against(wall, self.monotonic())

    def _anchor(self, wall: datetime, mono: float) -> None:
        self._wall, self._mono = wall, mono
        self._calm_until = wall + timedelta(seconds=JUMP_SECONDS)

    def _held_against(self, wall: datetime, mono: float) -> datetime:
        elapsed = mono - self._mono
        ahead = (wall - self._wall).total_seconds() - elapsed
        if ahead <= JUMP_SECONDS:
            if elapsed > JUMP_SECONDS:
                self._anchor(wall, mono)
            self._jumped_at = None
            return wall
        return self._after_jump(wall, mono, elapsed)

    def _after_jump(self, wall: datetime, mono: float, elapsed: float) -> datetime:
        if self._jumped_at is None:
            self._jumped_at = mono
            self.jump_count += 1
        if mono - self._jumped_at >= BELIEVED_AFTER_SECONDS:
            self._anchor(wall, mono)
            self._jumped_at = None
            return wall
        return self._wall + timedelta(seconds=elapsed)
