"""What the watch decides by: kinds, severities, thresholds. The defaults are the measured ones (docs/anomalies.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from runguard_core.anomalies._planned import PlannedSpend, planned_factor


class Kind(StrEnum):
    """What stands out."""

    SESSION_SPIKE = "session_spike"  # a session costs more than finished ones did in all
    MID_SESSION = "mid_session"  # ... or more than they had cost at the same turn
    SPEND_RATE = "spend_rate"  # a feature's hour
    DAILY_THRESHOLD = "daily_threshold"  # a feature's day, so far
    SLOW_DRIFT = "slow_drift"  # the level of cost per session has moved
    METER_GAP = "meter_gap"  # tokens that cost nothing


class Gravity(StrEnum):
    """How bad an episode is: by its ratio, or by its impact in days of the feature's usual spend."""

    MINOR = "minor"
    MAJOR = "major"  # 5 times the expected, or a quarter of a usual day
    CRITICAL = "critical"  # 10 times, or a whole usual day

    @property
    def rank(self) -> int:
        """0, 1, 2."""
        return ("minor", "major", "critical").index(self.value)


class Label(StrEnum):
    """What a person says of an episode: PLANNED is silenced and stays out of the baseline, FALSE was normal and goes in."""

    PLANNED = "planned"
    FALSE = "false"


def gravity_of(ratio: float, usual_days: float) -> Gravity:
    """The severity of a ratio to the expected value and an impact in usual feature-days."""
    if ratio >= 10 or usual_days >= 1:
        return Gravity.CRITICAL
    return Gravity.MAJOR if ratio >= 5 or usual_days >= 0.25 else Gravity.MINOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How far from normal is an anomaly: deviations on the log scale, and times the median; both are needed.

    Attributes:
        session_deviations, session_reach, session_ratio: of a session's cost, in all and at the same turn; reach is in
            distances from the median to the 98th percentile.
        rate_deviations, rate_ratio: of a feature's hour.
        day_deviations, day_ratio: of a feature's day so far.
        drift_sum, drift_allowance, drift_ratio: of the cumulated deviations of cost per session (CUSUM), what each block
            of sessions is allowed, and how far the level must have moved.
    """

    session_deviations: float = 4.5
    session_reach: float = 1.5
    session_ratio: float = 4.0
    rate_deviations: float = 3.75
    rate_ratio: float = 2.5
    day_deviations: float = 3.25
    day_ratio: float = 1.5
    drift_sum: float = 4.5
    drift_allowance: float = 0.75
    drift_ratio: float = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRules:
    """Everything the watch decides by.

    Attributes:
        sensitivity: 1 is as measured; 2 halves the deviations asked for, 0.5 doubles them.
        min_history_sessions: finished sessions of a feature and agent before one of them can stand out.
        min_history_days: days of a feature before its hours and days can.
        min_impact_nanos: an episode costs at least so much above the expected, nano-USD.
        idle_seconds: a session without calls for so long is finished.
        adopt_days: a feature's episode that lasts so long is the new normal.
        gather_count, gather_seconds: so many sessions that stand out within that time are one episode of the feature.
        quiet_seconds: a feature's episode ends when nothing stands out for so long.
        thresholds: as measured.
        planned: windows in which a multiple of the usual is expected; what is spent in them teaches no baseline.
    """

    sensitivity: float = 1.0
    min_history_sessions: int = 30
    min_history_days: int = 14
    min_impact_nanos: int = 10**9
    idle_seconds: float = 3600.0
    adopt_days: int = 14
    gather_count: int = 3
    gather_seconds: float = 24 * 3600.0
    quiet_seconds: float = 24 * 3600.0
    thresholds: Thresholds = field(default_factory=Thresholds)
    planned: tuple[PlannedSpend, ...] = ()

    def deviations(self, measured: float) -> float:
        """A threshold with the sensitivity applied."""
        return measured / self.sensitivity

    def factor(self, feature: str, at_seconds: float) -> float:
        """How many times the usual is expected of a feature at an instant; 1 where nothing is planned."""
        return planned_factor(self.planned, feature, at_seconds) if self.planned else 1.0
