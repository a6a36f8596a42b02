"""The same call again, answered the same: in a row, or now and then all through the run.

What counts is the result: the same call with a changing result is progress. How often is tolerated depends on the answer
(`_patience`): a failure that waiting does not cure stops a run at the second, "not yet" only at the twelfth.
"""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.detectors._answer import Answer
from runguard_core.detectors._history import NEUTRAL, History
from runguard_core.detectors._patience import patience
from runguard_core.detectors._rounds import PROMPTED_FACTOR, judge_round, troubled
from runguard_core.detectors._step import Step
from runguard_core.detectors._verdict import Severity, Verdict, episode

_TELLING = frozenset({Answer.TOLD, Answer.BRIEF})


@dataclass(frozen=True, slots=True)
class Repeat:
    """Equal calls with equal outcomes.

    Attributes:
        warn_after: announced once so many have happened in a row.
        stop_after: the call that would be this one in a row is refused, so the tool runs `stop_after - 1` times. Once the run
            has wasted a call before, the run is stopped after that many.
        stop_after_failures: so many equal failures in a row, if waiting does not cure them, stop a run that was in trouble.
        warn_after_anywhere, stop_after_anywhere: the same, not in a row, without any other answer to that call in between;
            "ok", "nothing" and "not yet" are no such answers.
    """

    warn_after: int = 2
    stop_after: int = 3
    stop_after_failures: int = 2
    warn_after_anywhere: int = 5
    stop_after_anywhere: int = 7
    rule: str = "repeat"

    def before(self, history: History, step: Step) -> Verdict | None:
        """Judge the candidate; changes nothing."""
        if history.back(1) is None or not history.is_known(step.signature):
            return None
        return judge_round(self.rule, history, step, period=1, stop_after=self.stop_after)

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended."""
        if step.equal_call_count < 2 or step is not history.back(1):
            return None
        rounds = 1
        if history.matched(1):
            rounds = history.agreed(1, history.matched(1)) + 1
        if history.is_prompted(step):
            is_late = rounds >= PROMPTED_FACTOR * patience(self.warn_after, (step.answer,))
            return self._verdict(Severity.WARN, _row(step, rounds), step, rounds) if is_late else None
        if rounds >= patience(self.warn_after, (step.answer,)):
            return self._in_a_row(history, step, rounds)
        is_in_a_row = rounds >= step.equal_call_count or step.answer in NEUTRAL
        return None if is_in_a_row else self._anywhere(step)

    def _in_a_row(self, history: History, step: Step, rounds: int) -> Verdict:
        evidence = _row(step, rounds)
        if step.answer is Answer.FAILED and rounds >= self.stop_after_failures:
            trouble = history.trouble_before(rounds)
            return self._verdict(Severity.STOP if trouble else Severity.WARN, evidence + troubled(trouble), step, rounds)
        was_wasted = step.wasted_count >= rounds  # all but the first of this row are wasted, too
        if was_wasted and step.answer in _TELLING and rounds >= max(self.stop_after - 1, 2):
            evidence += f"; {step.wasted_count} calls of this run were answered as before"
            return self._verdict(Severity.STOP, evidence, step, rounds)
        return self._verdict(Severity.WARN, evidence, step, rounds)

    def _anywhere(self, step: Step) -> Verdict | None:
        count = step.equal_call_count
        severity = episode(count, self.warn_after_anywhere, self.stop_after_anywhere)
        if severity is None:
            return None
        evidence = f"{step.tool} was called {count} times with equal arguments and the same result each time"
        return self._verdict(severity, evidence, step, count)

    def _verdict(self, severity: Severity, evidence: str, step: Step, count: int) -> Verdict:
        return Verdict(
            rule=self.rule,
            severity=severity,
            evidence=evidence,
            marks=(step.signature,),
            repeat_count=count,
            is_held=severity is Severity.STOP,
        )


def _row(step: Step, rounds: int) -> str:
    return f"{step.tool} was called {rounds} times in a row with equal arguments and equal results"
