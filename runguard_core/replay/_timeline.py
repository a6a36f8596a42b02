"""When a recording's events happened, and a clock that shows just that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from statistics import median

from runguard_core.replay._recording import RecordedEvent, Recording

#: Between events of a recording that carries no times at all.
STEP = timedelta(seconds=1)
#: At least so much passes between two events, so that each has an instant of its own.
TICK = timedelta(microseconds=2)
#: Time zones differ by multiples of this.
_ZONE_STEP_SECONDS = 900
_LONGEST_SECONDS = 365 * 86400.0
#: Stamps are kept within this, so that adding a duration to one stays in the calendar.
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """When an event began and ended (UTC); each begins later than the one before."""

    start: datetime
    end: datetime


def noon(day: datetime) -> datetime:
    """Noon (UTC) of a day: where recordings without times begin, far from the borders of any window."""
    return datetime.combine(day.astimezone(UTC).date(), time(12), UTC)


def moments(recording: Recording, begin: datetime) -> list[Moment]:
    """An instant for every event, never going back.

    Recorded stamps hold where there are some; events without one follow right after the event before. A recording
    without any goes in steps of one second. An event whose begin and end were recorded lasts that long, beside others if need
    be; any other is over before the next one begins.

    Args:
        recording: the run. begin: where it starts if it says nothing itself (UTC).
    """
    given = _given(recording, begin)
    known = [at for at in given if at is not None]
    now = min(recording.started_at or (known[0] if known else begin), _LATEST)
    step = TICK if known else STEP
    starts = []
    for at in given:
        now = now + step if at is None or at < now + TICK else min(at, _LATEST)
        starts.append(now)
    following = [*starts, None][1:]
    return [
        Moment(start, _end(start, at, event.duration_seconds or 0.0, after))
        for start, after, at, event in zip(starts, following, given, recording.events, strict=True)
    ]


def _end(start: datetime, recorded: datetime | None, seconds: float, following: datetime | None) -> datetime:
    """The end, counted from the recorded begin: where that had to be moved, the end does not move with it into the next event."""
    lasted = timedelta(seconds=min(seconds, _LONGEST_SECONDS))
    end = max(min(recorded or start, _LATEST) + lasted, start + TICK / 2)
    return end if following is None or recorded is not None else min(end, following - TICK / 2)


def _given(recording: Recording, begin: datetime) -> list[datetime | None]:
    ahead = _naive_ahead(recording.events)
    start = recording.started_at or next((event.at for event in recording.events if event.at is not None), begin)
    found: list[datetime | None] = []
    for event in recording.events:
        if event.at is not None:
            found.append(_moved(event.at, -ahead) if event.is_naive else event.at)
        elif event.offset_seconds is not None and 0 <= event.offset_seconds < 10**9:
            found.append(_moved(start, timedelta(seconds=event.offset_seconds)))
        else:
            found.append(None)
    return found


def _moved(at: datetime, by: timedelta) -> datetime | None:
    """None where that would be beyond the calendar: then the instant is not known."""
    try:
        return at + by
    except OverflowError:
        return None


def _naive_ahead(events: Sequence[RecordedEvent]) -> timedelta:
    """How far stamps without a zone run ahead of neighbours that have one: local time beside UTC in one recording."""
    apart: list[float] = []
    last: datetime | None = None
    for event in events:
        if event.at is None:
            continue
        if not event.is_naive:
            last = event.at
        elif last is not None:
            apart.append((event.at - last).total_seconds())
    if not apart:
        return timedelta(0)
    return timedelta(seconds=round(median(apart) / _ZONE_STEP_SECONDS) * _ZONE_STEP_SECONDS)


class RecordedClock:
    """A clock that is set by hand, forward only; wall time and stopwatch go together."""

    __slots__ = ("_start", "_wall")

    def __init__(self, start: datetime) -> None:
        """Stand still at `start` (UTC)."""
        self._start = self._wall = start

    def now(self) -> datetime:
        """The instant it was set to."""
        return self._wall

    def monotonic(self) -> float:
        """Seconds since its start."""
        return (self._wall - self._start).total_seconds()

    def move_to(self, at: datetime) -> datetime:
        """Go on to `at`; where it has been already, a tick further. The instant it shows then."""
        self._wall = max(at, self._wall + TICK / 2)
        return self._wall
