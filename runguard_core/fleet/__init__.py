"""Many hosts' ledgers in one: shipping them, and which of them are missing or late."""

from runguard_core.fleet._judging import LATE_AFTER, Judged, Standing, judge, stale
from runguard_core.fleet._shipping import Shipped, ship

__all__ = ["LATE_AFTER", "Judged", "Shipped", "Standing", "judge", "ship", "stale"]
