"""A provider that says "not now" again and again, across attempts, agents made anew and back-off windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._turn_run import Refusals
from runguard_core.detectors._verdict import Severity, Verdict


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
        count, since = self._recent(refused, turn.at)
        if count < needed:
            return None
        seconds = round((turn.at - since).total_seconds())
        again = " and would be asked again" if severity is Severity.STOP else ""
        evidence = f"{turn.model} refused {count} attempts in a row with {refused.status} within {seconds:,} s{again}"
        figures = {"status": refused.status, "seconds": seconds}
        return Verdict(rule=self.rule, severity=severity, evidence=evidence, repeat_count=count, figures=figures)

    def _recent(self, refused: Refusals, now: datetime) -> tuple[int, datetime]:
        """Attempts within the window, and when the first of them was made."""
        oldest = now - timedelta(seconds=self.window_seconds)
        recent = [(at, count) for at, count in refused.attempts if at >= oldest]
        return sum(count for _, count in recent), recent[0][0] if recent else now
