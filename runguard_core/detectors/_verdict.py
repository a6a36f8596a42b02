"""What a detector says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        topic: what of the rule it is about, where one rule has more than one thing to warn of; each is announced once.
        figures: the numbers in the sentence, by name with their units.
        is_held: a stop that is said after a call and waits for the next tool call: a model may still give its last answer.
    """

    rule: str
    severity: Severity
    evidence: str
    marks: tuple[str, ...] = ()
    repeat_count: int = 0
    period: int = 1
    topic: str = ""
    figures: Mapping[str, int] = field(default_factory=dict)
    is_held: bool = False


def episode(count: int, warn_after: int, stop_after: int) -> Severity | None:
    """What a growing count says now: a warning once, a stop at its number and, should the run go on, at every multiple of it."""
    if count >= stop_after:
        return Severity.STOP if count % stop_after == 0 else None
    return Severity.WARN if count == warn_after else None
