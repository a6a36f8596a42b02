"""An agenda of a fixed order for a fixed time; a point that has nothing to be said takes none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgendaPoint:
    """One point of a meeting.

    Attributes:
        minutes: how long it may take; 0 where there is nothing to be said.
        title: always the same. sentence: what it is about this time.
    """

    minutes: int
    title: str
    sentence: str


def agenda(points: Sequence[tuple[int, str, str, bool]], most_minutes: int) -> tuple[AgendaPoint, ...]:
    """Points in their order; together never more than `most_minutes`.

    Args:
        points: (minutes, title, sentence, whether there is something to be said).
    """
    found = tuple(AgendaPoint(minutes if is_due else 0, title, sentence) for minutes, title, sentence, is_due in points)
    if sum(point.minutes for point in found) > most_minutes:
        raise ValueError(f"an agenda of {sum(point.minutes for point in found)} minutes for a meeting of {most_minutes}")
    return found
