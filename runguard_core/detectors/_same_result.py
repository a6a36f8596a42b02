"""Different calls, one answer: a tool that says the same whatever it is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runguard_core.detectors._answer import Answer
from runguard_core.detectors._history import History
from runguard_core.detectors._rounds import differs
from runguard_core.detectors._rows import equal_rounds
from runguard_core.detectors._step import Step
from runguard_core.detectors._verdict import Severity, Verdict, episode


@dataclass(frozen=True, slots=True)
class SameResult:
    """Calls of one tool in a row that got the very same answer.

    "ok" is what actions get, "not yet" what polls get, and a word or a number may be the answer to many questions: all are
    spared. An empty answer, also one of several tools, warns and does not stop: looking through thirty files for something that
    is in none of them is work. Rounds of calls of several tools that keep getting the same answers are announced.

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
        found = self._round(history, step)
        if found is not None or step.answer in _SPARED or not differs(history, step):
            return found
        if step.answer is Answer.EMPTY:
            return self._empty(step)
        count = step.same_answer_count
        severity = episode(count, self.warn_after, self.stop_after)
        if severity is None:
            return None
        return self._verdict(severity, f"{step.tool} gave {count} calls in a row the same answer", step, count)

    def _round(self, history: History, step: Step) -> Verdict | None:
        """Rounds of other calls that keep getting the same answers: announced."""
        counts = equal_rounds(history, step)
        if counts is None:
            return None
        for period, count in counts.items():
            if count != period * (self.warn_after - 1):
                continue
            steps = history.latest(2 * period)
            late = steps[period:]
            is_other = [one.signature for one in steps[:period]] != [one.signature for one in late]
            if is_other and len({one.tool for one in late}) > 1 and any(one.answer in _TELLING for one in late):
                rounds = count // period + 1
                evidence = f"the round {' -> '.join(one.tool for one in late)} got the same answers {rounds} times"
                return replace(self._verdict(Severity.WARN, evidence, step, rounds), period=period)
        return None

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
        return Verdict(
            rule=self.rule,
            severity=severity,
            evidence=evidence,
            marks=(step.mark or "",),
            repeat_count=count,
            is_held=severity is Severity.STOP,
        )


_TELLING = frozenset({Answer.TOLD, Answer.FAILED, Answer.BUSY})
_SPARED = frozenset({Answer.DONE, Answer.WAITING, Answer.BRIEF, None})
