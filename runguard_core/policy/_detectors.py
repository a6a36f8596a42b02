"""`[detectors.NAME]`: the tables of the tool-call detectors, their defaults those of the detectors, and what they make."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from runguard_core.detectors import MAX_PERIOD, Cycle, Detector, ErrorStreak, NearDuplicate, Repeat, SameResult, Stall
from runguard_core.policy._table import ModeName, Table
from runguard_core.policy._turn_tables import TurnTables


class DetectorTable(Table):
    """What all of them have."""

    mode: ModeName | None = None


_REPEAT, _CYCLE, _NEAR, _SAME, _STALL, _ERROR = Repeat(), Cycle(), NearDuplicate(), SameResult(), Stall(), ErrorStreak()


class RepeatTable(DetectorTable):
    """`[detectors.repeat]`: equal calls with equal answers."""

    warn_after: int = Field(default=_REPEAT.warn_after, ge=2, description="so many in a row are announced")
    stop_after: int = Field(default=_REPEAT.stop_after, ge=2, description="the call that would be this one in a row is refused")
    stop_after_failures: int = Field(default=_REPEAT.stop_after_failures, ge=2, description="so many equal failures stop the run")
    warn_after_anywhere: int = Field(default=_REPEAT.warn_after_anywhere, ge=2, description="with other calls in between")
    stop_after_anywhere: int = Field(default=_REPEAT.stop_after_anywhere, ge=2, description="with other calls in between")


class CycleTable(DetectorTable):
    """`[detectors.cycle]`: rounds of calls."""

    max_period: int = Field(default=_CYCLE.max_period, ge=2, le=MAX_PERIOD, description="calls in the longest round")
    warn_after: int = Field(default=_CYCLE.warn_after, ge=2, description="rounds made")
    stop_after: int = Field(default=_CYCLE.stop_after, ge=2, description="the call that would complete this round is refused")


class NearDuplicateTable(DetectorTable):
    """`[detectors.near_duplicate]`: alike arguments, the same answer or failure."""

    warn_after: int = Field(default=_NEAR.warn_after, ge=2, description="in a row")
    stop_after: int = Field(default=_NEAR.stop_after, ge=2, description="in a row")
    likeness_ratio: float = Field(default=_NEAR.likeness_ratio, gt=0, le=1, description="share of words in common, 0 to 1")


class SameResultTable(DetectorTable):
    """`[detectors.same_result]`: different calls, one answer."""

    warn_after: int = Field(default=_SAME.warn_after, ge=2, description="in a row")
    stop_after: int = Field(default=_SAME.stop_after, ge=2, description="in a row")


class StallTable(DetectorTable):
    """`[detectors.stall]`: nothing new."""

    warn_after: int = Field(default=_STALL.warn_after, ge=2, description="calls in a row")
    stop_after: int = Field(default=_STALL.stop_after, ge=2, description="calls in a row")


class ErrorStreakTable(DetectorTable):
    """`[detectors.error_streak]`: the same failure, whatever the arguments."""

    warn_after: int = Field(default=_ERROR.warn_after, ge=1, description="failures in a row")
    stop_after: int = Field(default=_ERROR.stop_after, ge=1, description="failures in a row, then the next call is refused")


class DetectorsTable(TurnTables):
    """`[detectors]`."""

    repeat: RepeatTable = RepeatTable()
    cycle: CycleTable = CycleTable()
    near_duplicate: NearDuplicateTable = NearDuplicateTable()
    same_result: SameResultTable = SameResultTable()
    stall: StallTable = StallTable()
    error_streak: ErrorStreakTable = ErrorStreakTable()


_MADE: dict[str, Callable[..., Detector]] = {
    "repeat": Repeat, "cycle": Cycle, "near_duplicate": NearDuplicate, "same_result": SameResult, "stall": Stall,
    "error_streak": ErrorStreak,
}  # fmt: skip


def detectors_of(tables: DetectorsTable) -> tuple[Detector, ...]:
    """The detectors that the tables describe."""
    return tuple(made(**getattr(tables, name).model_dump(exclude={"mode"})) for name, made in _MADE.items())
