"""What a guard does about spend that stands out."""

from __future__ import annotations

from dataclasses import dataclass, field

from runguard_core.anomalies import Gravity, WatchRules
from runguard_core.budgets import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyRules:
    """How spend is watched, and what an episode may stop.

    Attributes:
        mode: OFF looks at nothing; OBSERVE announces only; None: the guard's own mode.
        watch: thresholds, histories, the least impact.
        trip: the severity from which an episode of a session stops that session's run; None: none does.
        trip_feature: whether an episode of a whole feature stops the feature, for `trip_seconds`.
    """

    mode: Mode | None = None
    watch: WatchRules = field(default_factory=WatchRules)
    trip: Gravity | None = None
    trip_feature: bool = False
    trip_seconds: float = 3600.0
