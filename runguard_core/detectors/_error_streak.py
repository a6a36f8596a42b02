"""A tool that fails the same way again and again, whatever it is called with."""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.detectors._history import History
from runguard_core.detectors._step import Step
from runguard_core.detectors._verdict import Severity, Verdict

#: A failure that a result only speaks of may be an answer ("not found"): twice as many are tolerated.
_TOLD_FACTOR = 2


@dataclass(frozen=True, slots=True)
class ErrorStreak:
    """Equal failures of one tool without a success of it in between.

    Attributes:
        warn_after: announced once so many have happened.
        stop_after: once so many have happened, the tool's next call is refused; twice as many where the failure is
            what a result's text says, and those in a row.
    """

    warn_after: int = 3
    stop_after: int = 5
    rule: str = "error_streak"

    def before(self, history: History, step: Step) -> Verdict | None:
        """Judge the tool's next call."""
        past = history.tool(step.tool)
        if past is None or past.failure is None or past.failure_count < self.stop_after:
            return None
        if past.is_told:
            last = history.back(1)
            if past.failure_count < _TOLD_FACTOR * self.stop_after or last is None or last.tool != step.tool:
                return None
        evidence = f"{step.tool} failed the same way {past.failure_count} times in a row and would be called again"
        return self._verdict(Severity.STOP, evidence, past.failure, past.failure_count)

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just failed."""
        count = step.same_failure_count
        if step.failure is None or count != self.warn_after:
            return None
        evidence = f"{step.tool} failed the same way {count} times in a row"
        return self._verdict(Severity.WARN, evidence, step.failure, count)

    def _verdict(self, severity: Severity, evidence: str, mark: str, count: int) -> Verdict:
        return Verdict(rule=self.rule, severity=severity, evidence=evidence, marks=(mark,), repeat_count=count)
