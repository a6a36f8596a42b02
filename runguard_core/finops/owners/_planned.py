"""Windows in which more is spent on purpose, in local dates: what the watch, the plan and the ladder make of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from runguard_core.anomalies import PlannedSpend
from runguard_core.finops._calendar import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A launch, a sale, a migration.

    Attributes:
        feature: whose; None: everybody's. window: its local dates, the last one exclusive.
        factor: so many times the usual is expected, at least 1. reason: for whoever asks later.
        release_days: so many days before the window the planning reserve is released for it.
    """

    feature: str | None
    window: Window
    factor: float
    reason: str
    release_days: int = 1

    def concerns(self, feature: str) -> bool:
        """Whether it is of that feature."""
        return self.feature in {None, feature}

    def is_released(self, at: datetime) -> bool:
        """Whether the reserve is free for it at an instant: from some days before the window until its end."""
        return self.window.start - timedelta(days=self.release_days) <= at < self.window.end

    def extra_nanos(self, usual_day_nanos: int) -> int:
        """What it is expected to cost above the usual, in all, nano-USD.

        Args:
            usual_day_nanos: what its feature (or all of them) usually costs a day.
        """
        return round(usual_day_nanos * len(self.window.days) * (self.factor - 1))


def released(planned: Iterable[Planned], at: datetime) -> tuple[Planned, ...]:
    """Windows for which the reserve is free at an instant, by start."""
    found = [one for one in planned if one.is_released(at)]
    return tuple(sorted(found, key=lambda one: (one.window.start, one.feature or "")))


def spend_of(planned: Iterable[Planned]) -> tuple[PlannedSpend, ...]:
    """The same as the watch takes them."""
    return tuple(
        PlannedSpend(one.feature, one.window.start.timestamp(), one.window.end.timestamp(), one.factor) for one in planned
    )
