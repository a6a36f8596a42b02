"""A provider that says "not now" again and again, across attempts, agents made anew and back-off windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import ClassVar

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._verdict import Severity, Verdict

#: Models that a sentence names one by one.
_NAMED = 2


@dataclass(frozen=True, slots=True)
class RateLimit(TurnDetector):
    """Answers 429, 503 or 529 to one agent of a run without a proper answer in between, whatever was asked.

    Attributes:
        warn_after: attempts refused in a row that are announced.
        stop_after: once so many have been, the next one is not made.
        window_seconds: older attempts no longer count.
    """

    warn_after: int = 3
    stop_after: int = 10
    window_seconds: float = 7200.0
    rule: str = "rate_limit"

    judges_faults_only: ClassVar[bool] = True

    def quiet_tokens(self, turn: Turn) -> float:
        """Without refusals nothing is refused again."""
        return inf

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Stop the attempt after the last tolerated one."""
        if not turns.run.refusals:
            return None
        return self._judge(turns, turn, self.stop_after, Severity.STOP)

    def after(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Warn of a call that was refused just now."""
        return self._judge(turns, turn, self.warn_after, Severity.WARN) if turn.is_refused else None

    def _judge(self, turns: TurnHistory, turn: Turn, needed: int, severity: Severity) -> Verdict | None:
        refused = turns.run.refusals.get((turn.agent, turn.operation))
        if refused is None:
            return None
        oldest = turn.at - timedelta(seconds=self.window_seconds)
        recent = [attempt for attempt in refused.attempts if attempt[0] >= oldest]
        count = sum(attempt[1] for attempt in recent)
        if count < needed or not recent:
            return None
        seconds = round((turn.at - recent[0][0]).total_seconds())
        models, statuses = listed(attempt[2] for attempt in recent), listed(str(attempt[3]) for attempt in recent)
        again = " and would be asked again" if severity is Severity.STOP else ""
        evidence = f"{models} refused {count} attempts in a row with {statuses} within {seconds:,} s{again}"
        figures = {"status": refused.status, "seconds": seconds}
        return Verdict(rule=self.rule, severity=severity, evidence=evidence, repeat_count=count, figures=figures)


def listed(names: Iterable[str]) -> str:
    """Each once, in order: "a", "a and b", "a, b and 2 others"."""
    found = list(dict.fromkeys(names))
    if len(found) > _NAMED + 1:
        found = [*found[:_NAMED], f"{len(found) - _NAMED} others"]
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)
