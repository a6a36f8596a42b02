"""The breaker: which scopes are stopped, why, and how they start again."""

from runguard_core.breaker._selecting import Selector, chosen
from runguard_core.breaker._transitions import (
    SCOPES,
    Latches,
    blocking,
    blocking_above,
    cleared_by_limit,
    has_ended,
    how_to_clear,
    is_stale,
    kill,
    probe,
    refuse,
    shows,
    trip,
)

__all__ = [
    "SCOPES",
    "Latches",
    "Selector",
    "blocking",
    "blocking_above",
    "chosen",
    "cleared_by_limit",
    "has_ended",
    "how_to_clear",
    "is_stale",
    "kill",
    "probe",
    "refuse",
    "shows",
    "trip",
]
