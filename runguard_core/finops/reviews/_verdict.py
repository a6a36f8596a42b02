"""Is a feature's cost normal, improving or degrading? Direction of the cost per session, number of anomalies, weeks of rise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from runguard_core.finops._session_costs import percentile

#: Fewer sessions than this, in the week or before it, show no direction.
LEAST_SESSIONS = 10
#: From so many weeks of rise on, a feature is flagged.
FLAGGED_WEEKS = 3
#: A direction is a change of the median by at least so much, and beyond what chance does to it.
LEAST_CHANGE_RATIO = 0.10
#: Half the width of an interval of 84 % in ranks, by the root of the number: two such intervals that do not touch are a test at
#: 5 % (Goldstein and Healy, 1995).
_REACH = 1.405 / 2
RULE = (
    "degrading: the median cost per session is up, or there are more anomalies than the week before; improving: it is down "
    "without more anomalies, or level with fewer; up and down: by at least 10 % and beyond the 84 % intervals of both medians "
    "(a test at 5 %), the week's and that of the four weeks before (of one, where it had 5,000 sessions)"
)


class Verdict(StrEnum):
    """What a week says of a feature."""

    NORMAL = "normal"
    IMPROVING = "improving"
    DEGRADING = "degrading"


class Direction(StrEnum):
    """Where a cost per session went."""

    UP = "up"
    DOWN = "down"
    LEVEL = "level"
    UNKNOWN = "unknown"  # too few sessions


@dataclass(frozen=True, slots=True)
class Middle:
    """The median of some costs, and between what it lies with 84 % confidence; nano-USD."""

    nanos: int
    least_nanos: int
    most_nanos: int


def middle(ordered: Sequence[int]) -> Middle | None:
    """The median and its interval by order statistics (no assumption about the costs' shape); None of too few.

    Args:
        ordered: ascending.
    """
    count = len(ordered)
    found = percentile(ordered, 0.5)
    if found is None or count < LEAST_SESSIONS:
        return None
    reach = _REACH * math.sqrt(count)
    least, most = max(math.floor(count / 2 - reach), 0), min(math.ceil(count / 2 + reach), count - 1)
    return Middle(found, ordered[least], ordered[most])


def direction(now: Sequence[int], before: Sequence[int]) -> Direction:
    """Where the median went; both ascending."""
    here, there = middle(now), middle(before)
    if here is None or there is None:
        return Direction.UNKNOWN
    if here.least_nanos > there.most_nanos and here.nanos >= there.nanos * (1 + LEAST_CHANGE_RATIO):
        return Direction.UP
    if here.most_nanos < there.least_nanos and here.nanos <= there.nanos * (1 - LEAST_CHANGE_RATIO):
        return Direction.DOWN
    return Direction.LEVEL


def verdict(went: Direction, anomaly_count: int, anomaly_count_before: int) -> Verdict:
    """See RULE."""
    if went is Direction.UP or anomaly_count > anomaly_count_before:
        return Verdict.DEGRADING
    if went is Direction.DOWN or anomaly_count < anomaly_count_before:
        return Verdict.IMPROVING
    return Verdict.NORMAL


def rising_weeks(spends: Sequence[int]) -> int:
    """How many weeks in a row, up to the last one, cost more than the week before each."""
    count = 0
    for earlier, later in zip(reversed(spends[:-1]), reversed(spends[1:]), strict=True):
        if later <= earlier:
            break
        count += 1
    return count
