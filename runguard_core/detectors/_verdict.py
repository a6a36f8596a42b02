"""What a detector says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """WARN is announced; STOP latches the run."""

    WARN = "warn"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was seen, in a sentence a person can check.

    Attributes:
        rule: "repeat", "cycle", "error_streak", ...
        severity: WARN or STOP.
        evidence: the sentence.
        marks: signatures or error marks that show it: a probe run is stopped at the first sight of one.
        repeat_count: how often it was seen; period: calls in one round.
    """

    rule: str
    severity: Severity
    evidence: str
    marks: tuple[str, ...] = ()
    repeat_count: int = 0
    period: int = 1
