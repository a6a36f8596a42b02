"""Standing still: calls that were made before, with answers that were seen before, in whatever order."""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.detectors._history import History
from runguard_core.detectors._step import Step
from runguard_core.detectors._verdict import Severity, Verdict, episode


@dataclass(frozen=True, slots=True)
class Stall:
    """Calls in a row without anything new: neither the call nor its answer.

    Attributes:
        warn_after, stop_after: so many in a row are announced, stop the run.
    """

    warn_after: int = 12
    stop_after: int = 32
    rule: str = "stall"

    def before(self, history: History, step: Step) -> Verdict | None:
        """Nothing: what decides is the answer."""
        return None

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended."""
        count = step.stale_count
        if count < self.warn_after or step is not history.back(1):
            return None
        severity = episode(count, self.warn_after, self.stop_after)
        if severity is None:
            return None
        answers = "no answer reported" if step.mark is None else "answers seen before"
        evidence = f"the latest {count} calls were all made before in this run, with {answers}"
        return Verdict(
            rule=self.rule,
            severity=severity,
            evidence=evidence,
            marks=(step.signature,),
            repeat_count=count,
            is_held=severity is Severity.STOP,
        )
