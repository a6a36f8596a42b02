"""Different calls, one answer: a tool that says the same whatever it is asked."""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.detectors._answer import Answer
from runguard_core.detectors._history import History
from runguard_core.detectors._rounds import differs
from runguard_core.detectors._step import Step
from runguard_core.detectors._verdict import Severity, Verdict, episode


@dataclass(frozen=True, slots=True)
class SameResult:
    """Calls of one tool in a row that got the very same answer.

    "ok" is what actions get, "not yet" what polls get, and a word or a number may be the answer to many questions: all are
    spared. An empty answer, also one of several tools, warns and does not stop: looking through thirty files for something that
    is in none of them is work.

    Attributes:
        warn_after, stop_after: so many in a row are announced, stop the run.
    """

    warn_after: int = 4
    stop_after: int = 6
    rule: str = "same_result"

    def before(self, history: History, step: Step) -> Verdict | None:
        """Nothing: what decides is the answer."""
        return None

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended."""
        if step.answer in _SPARED or not differs(history, step):
            return None
        if step.answer is Answer.EMPTY:
            return self._empty(step)
        count = step.same_answer_count
        severity = episode(count, self.warn_after, self.stop_after)
        if severity is None:
            return None
        return self._verdict(severity, f"{step.tool} gave {count} calls in a row the same answer", step, count)

    def _empty(self, step: Step) -> Verdict | None:
        if step.same_answer_count == self.warn_after:
            evidence = f"{step.tool} gave {self.warn_after} calls in a row the same empty answer"
            return self._verdict(Severity.WARN, evidence, step, self.warn_after)
        if step.same_answer_count < step.empty_count == self.stop_after:
            return self._verdict(
                Severity.WARN, f"the latest {self.stop_after} calls all got an empty answer", step, self.stop_after
            )
        return None

    def _verdict(self, severity: Severity, evidence: str, step: Step, count: int) -> Verdict:
        return Verdict(rule=self.rule, severity=severity, evidence=evidence, marks=(step.mark or "",), repeat_count=count)


_SPARED = frozenset({Answer.DONE, Answer.WAITING, Answer.BRIEF, None})
