"""The same question in other words: alike arguments, and the same answer or the same failure each time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runguard_core.detectors._answer import Answer
from runguard_core.detectors._history import NEUTRAL, History
from runguard_core.detectors._rounds import differs, troubled
from runguard_core.detectors._rows import alike_count, alike_rounds, is_alike
from runguard_core.detectors._step import Step
from runguard_core.detectors._verdict import Severity, Verdict, episode

#: Answers that are judged, and how many more are tolerated: an empty page says less than a failure.
_MORE = {Answer.TOLD: 0, Answer.FAILED: 0, Answer.BUSY: 0, Answer.EMPTY: 2}


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Calls of one tool in a row with alike arguments that came to the same.

    Attributes:
        warn_after: so many in a row are announced.
        stop_after: after so many the next alike call is refused; of a run that was in trouble already, any next tool call.
        likeness_ratio: words that two calls' values must share, of all their words, to be alike.
    """

    warn_after: int = 3
    stop_after: int = 3
    likeness_ratio: float = 0.6
    rule: str = "near_duplicate"
    reads_sketch: bool = True

    def before(self, history: History, step: Step) -> Verdict | None:
        """Judge the candidate: one more of a row that is long enough."""
        last = history.back(1)
        if last is None or last.alike_count < self.stop_after or last.signature == step.signature:
            return None
        more = _MORE.get(last.answer) if last.answer is not None else None
        if more is None or last.alike_count < self.stop_after + more or not is_alike(last, step, self.likeness_ratio):
            return None
        count = last.alike_count
        evidence = f"{step.tool} would be called again after {count} calls in a row with alike arguments that {_came_to(last)}"
        return replace(self._verdict(Severity.STOP, evidence, last, count), is_held=False)

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended."""
        count = alike_count(history, step, self.likeness_ratio)
        if count < self.warn_after or not differs(history, step):
            return None if step is not history.back(1) else self._round(history, step)
        more = _MORE.get(step.answer) if step.answer is not None else None
        if more is None:
            return None
        severity = episode(count, self.warn_after + more, self.stop_after + more)
        if severity is None:
            return None
        trouble = history.trouble_before(count)
        evidence = f"{step.tool} was called {count} times in a row with alike arguments and {_came_to(step)}"
        if severity is Severity.STOP and trouble:
            return self._verdict(Severity.STOP, evidence + troubled(trouble), step, count)
        return self._verdict(Severity.WARN, evidence, step, count)

    def _round(self, history: History, step: Step) -> Verdict | None:
        """Rounds of a few calls with alike arguments: announced once they are complete so often."""
        found = alike_rounds(history, step, self.likeness_ratio)
        if found is None:
            return None
        for period, count in found.items():
            if count != period * (self.warn_after - 1):
                continue
            rounds = count // period + 1
            steps = history.latest(2 * period)
            late = steps[period:]
            if [one.signature for one in steps[:period]] == [one.signature for one in late]:
                continue
            if len({one.signature for one in late}) > 1 and any(one.answer not in NEUTRAL for one in late):
                names = " -> ".join(one.tool for one in late)
                evidence = f"the round {names} was made {rounds} times with alike arguments and the same answers"
                return replace(self._verdict(Severity.WARN, evidence, step, rounds), period=period)
        return None

    def _verdict(self, severity: Severity, evidence: str, step: Step, count: int) -> Verdict:
        mark = step.failure or step.mark or step.signature
        return Verdict(
            rule=self.rule,
            severity=severity,
            evidence=evidence,
            marks=(mark,),
            repeat_count=count,
            is_held=severity is Severity.STOP,
        )


def _came_to(step: Step) -> str:
    return "failed the same way each time" if step.failure is not None else "got the same answer each time"
