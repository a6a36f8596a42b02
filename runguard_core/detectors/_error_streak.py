"""A tool that fails the same way again and again, whatever it is called with."""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.detectors._history import History, Step
from runguard_core.detectors._verdict import Severity, Verdict


@dataclass(frozen=True, slots=True)
class ErrorStreak:
    """Equal failures of one tool without a success of it in between.

    Attributes:
        warn_after: announced once so many have happened.
        stop_after: once so many have happened, the tool's next call is refused.
    """

    warn_after: int = 3
    stop_after: int = 5
    rule: str = "error_streak"

    def before(self, history: History, step: Step) -> Verdict | None:
        """Judge the next call of the tool."""
        if step.tool != history.error_tool or history.error_count < self.stop_after:
            return None
        evidence = f"{step.tool} failed the same way {history.error_count} times in a row and would be called again"
        return self._verdict(Severity.STOP, evidence, history)

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just failed."""
        if step.error is None or step.tool != history.error_tool or history.error_count < self.warn_after:
            return None
        evidence = f"{step.tool} failed the same way {history.error_count} times in a row"
        return self._verdict(Severity.WARN, evidence, history)

    def _verdict(self, severity: Severity, evidence: str, history: History) -> Verdict:
        return Verdict(
            rule=self.rule, severity=severity, evidence=evidence, marks=(history.error_mark,),
            repeat_count=history.error_count,
        )  # fmt: skip
