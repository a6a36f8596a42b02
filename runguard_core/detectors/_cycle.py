"""Rounds of two to eight calls, made again with equal outcomes: A B A B A B."""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.detectors._history import MAX_PERIOD, History
from runguard_core.detectors._patience import patience
from runguard_core.detectors._rounds import is_uniform, judge_round, round_marks
from runguard_core.detectors._step import Step
from runguard_core.detectors._verdict import Severity, Verdict


@dataclass(frozen=True, slots=True)
class Cycle:
    """A round of two to eight calls, repeated with equal outcomes.

    Attributes:
        max_period: longest round looked for, 2 to 8.
        warn_after: announced once so many rounds have been made.
        stop_after: the call that would complete this round is refused.
    """

    max_period: int = MAX_PERIOD
    warn_after: int = 2
    stop_after: int = 3
    rule: str = "cycle"

    def before(self, history: History, step: Step) -> Verdict | None:
        """Judge the candidate; the shortest round is named."""
        if not history.is_known(step.signature) or history.would_match(1, step.signature) >= self.max_period:
            return None
        for period in range(2, self.max_period + 1):
            found = judge_round(self.rule, history, step, period=period, stop_after=self.stop_after)
            if found is not None:
                return found
        return None

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended and closes a round."""
        if step.is_new or step is not history.back(1) or history.matched(1) >= self.max_period:
            return None
        for period in range(2, self.max_period + 1):
            if history.matched(period) < period * (self.warn_after - 1) or is_uniform(history, period):
                continue
            rounds = history.agreed(period, history.matched(period)) // period + 1
            is_round = history.agreed(period, history.matched(period)) % period == 0
            if not is_round or rounds < patience(self.warn_after, (one.answer for one in history.latest(period))):
                continue
            names = " -> ".join(one.tool for one in history.latest(period))
            evidence = f"the round {names} was made {rounds} times with equal arguments and equal results"
            marks = round_marks(history, step, period)
            return Verdict(
                rule=self.rule, severity=Severity.WARN, evidence=evidence, marks=marks, repeat_count=rounds, period=period,
            )  # fmt: skip
        return None
