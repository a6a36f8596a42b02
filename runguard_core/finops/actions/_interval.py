"""What sessions after a change saved against those before it, with an interval around it."""

from __future__ import annotations

from collections.abc import Iterable

from runguard_core.finops._means import Moments, half_width

#: How often an interval holds the truth.
CONFIDENCE_RATIO = 0.9
#: Fewer sessions than this on one side say nothing of their spread.
LEAST_SESSIONS = 10


def saved_nanos(before: Moments, after: Moments) -> int:
    """Cost per session before x sessions after - what they cost, to the nearest nano-USD."""
    return round(before.mean * after.count) - after.nanos


def half_width_nanos(pairs: Iterable[tuple[Moments, Moments]]) -> int | None:
    """Half of the interval around the sum of what pairs (before, after) saved; None of too few sessions, and of no pair.

    Variances of the means, each times the square of the sessions after, added up.
    """
    parts: list[tuple[float, int]] = []
    for before, after in pairs:
        if min(before.count, after.count) < LEAST_SESSIONS:
            return None
        parts += [(float(after.count) ** 2 * float(side.error), side.count) for side in (before, after)]
    return half_width(parts, CONFIDENCE_RATIO) if parts else None
