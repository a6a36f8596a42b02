"""Incidents that can be put into generated traffic, with the truth about each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random


class IncidentKind(StrEnum):
    """What goes wrong."""

    TOOL_LOOP = "tool_loop"  # one session asks the same tool again and again
    RETRY_STORM = "retry_storm"  # every call is sent several times, each billed
    CONTEXT_BLOAT = "context_bloat"  # results are never trimmed: prompts grow with every turn
    MODEL_SWAP = "model_swap"  # a dearer model by mistake
    PROMPT_REGRESSION = "prompt_regression"  # prompts and answers twice as long
    TRAFFIC_BURST = "traffic_burst"  # ten times the sessions
    SLOW_DRIFT = "slow_drift"  # three per cent longer every day
    LEAKED_KEY = "leaked_key"  # a stranger's sessions, day and night


#: How long each lasts, in hours: least and most.
_HOURS = {
    IncidentKind.TOOL_LOOP: (0.3, 1.5),
    IncidentKind.RETRY_STORM: (2, 6),
    IncidentKind.CONTEXT_BLOAT: (24, 72),
    IncidentKind.MODEL_SWAP: (24, 72),
    IncidentKind.PROMPT_REGRESSION: (120, 168),
    IncidentKind.TRAFFIC_BURST: (2, 8),
    IncidentKind.SLOW_DRIFT: (28 * 24, 35 * 24),
    IncidentKind.LEAKED_KEY: (12, 36),
}
#: Incidents of a few hours happen when the feature is in use.
_BY_DAY = frozenset({IncidentKind.TOOL_LOOP, IncidentKind.RETRY_STORM, IncidentKind.TRAFFIC_BURST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident and the truth about it.

    Attributes:
        kind, feature, started_at, ended_at: what, where, when (UTC).
        excess_nanos: what it cost beyond the same traffic without it, nano-USD; 0 until the traffic has been made.
    """

    kind: IncidentKind
    feature: str
    started_at: datetime
    ended_at: datetime
    excess_nanos: int = 0

    def covers(self, at: datetime) -> bool:
        """Whether it goes on at an instant."""
        return self.started_at <= at < self.ended_at

    def days_in(self, at: datetime) -> float:
        """Days since it began."""
        return (at - self.started_at) / timedelta(days=1)


def draw_incident(kind: IncidentKind, feature: str, day: datetime, dice: Random) -> Incident:
    """An incident of a kind that begins on a day (its midnight, UTC), on a weekday if the day is a weekend's."""
    while day.weekday() >= 5:
        day += timedelta(days=1)
    hour = dice.uniform(9, 16) if kind in _BY_DAY else dice.uniform(0, 24)
    start = (day + timedelta(hours=hour)).replace(microsecond=0)
    return Incident(kind=kind, feature=feature, started_at=start, ended_at=start + timedelta(hours=dice.uniform(*_HOURS[kind])))
