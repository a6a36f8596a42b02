"""Loops: the same call again and again (period 1), or the same round of calls (periods 2 to 8).

What counts is the result. The same call with a changing result is progress. The call that would complete the last
tolerated round is refused when all outcomes so far agreed; where outcomes are never reported, twice as many rounds pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runguard_core.detectors._history import MAX_PERIOD, History, Step
from runguard_core.detectors._verdict import Severity, Verdict

#: Rounds tolerated, as a multiple, where nobody reports results.
_UNREPORTED_FACTOR = 2


@dataclass(frozen=True, slots=True)
class Repeat:
    """Consecutive equal calls with equal outcomes.

    Attributes:
        warn_after: announced once so many have happened.
        stop_after: the call that would be this one is refused, so the tool runs `stop_after - 1` times.
    """

    warn_after: int = 2
    stop_after: int = 3
    rule: str = "repeat"

    def before(self, history: History, step: Step) -> Verdict | None:
        """Judge the next call; changes nothing."""
        return judge_round(self.rule, history, step, period=1, stop_after=self.stop_after)

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended."""
        if step is not history.back(1) or history.matched(1) + 1 < self.warn_after:
            return None
        rounds = history.agreed(1, history.matched(1)) + 1
        if rounds < self.warn_after:
            return None
        evidence = f"{step.tool} was called {rounds} times in a row with equal arguments and equal results"
        return Verdict(rule=self.rule, severity=Severity.WARN, evidence=evidence, marks=(step.signature,), repeat_count=rounds)


@dataclass(frozen=True, slots=True)
class Cycle:
    """A round of two to eight calls, repeated with equal outcomes: A B A B A B.

    Attributes:
        max_period: longest round looked for, 2 to 8.
        warn_after, stop_after: rounds, as in `Repeat`.
    """

    max_period: int = MAX_PERIOD
    warn_after: int = 2
    stop_after: int = 3
    rule: str = "cycle"

    def before(self, history: History, step: Step) -> Verdict | None:
        """Judge the next call; the shortest round is named."""
        for period in range(2, self.max_period + 1):
            found = judge_round(self.rule, history, step, period=period, stop_after=self.stop_after)
            if found is not None:
                return found
        return None

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended and closes a round."""
        if step is not history.back(1):
            return None
        for period in range(2, self.max_period + 1):
            needed = period * (self.warn_after - 1)
            if history.matched(period) < needed or is_uniform(history, period):
                continue
            if history.outcomes_agree(period, needed) is True:
                names = " -> ".join(round_names(history, period))
                evidence = f"the round {names} was made {self.warn_after} times with equal arguments and equal results"
                marks = round_marks(history, period)
                return Verdict(
                    rule=self.rule, severity=Severity.WARN, evidence=evidence, marks=marks,
                    repeat_count=self.warn_after, period=period,
                )  # fmt: skip
        return None


def judge_round(rule: str, history: History, step: Step, *, period: int, stop_after: int) -> Verdict | None:
    """A stop, when this call would complete round number `stop_after` and nothing has changed from round to round."""
    needed = period * (stop_after - 1)
    matched = history.would_match(period, step.signature)
    if matched < needed or (period > 1 and is_uniform(history, period)):
        return None
    agree = history.outcomes_agree(period, needed - 1)
    if agree is False or (agree is None and matched < period * (_UNREPORTED_FACTOR * stop_after - 1)):
        return None
    rounds = (matched if agree is None else history.agreed(period, matched - 1) + 1) // period + 1
    outcomes = "equal results" if agree else "no result reported"
    if period == 1:
        evidence = f"{step.tool} would be called for the {ordinal(rounds)} time in a row with equal arguments and {outcomes}"
        marks: tuple[str, ...] = (step.signature,)
    else:
        names = " -> ".join(round_names(history, period))
        evidence = f"the round {names} would be made for the {ordinal(rounds)} time with equal arguments and {outcomes}"
        marks = round_marks(history, period)
    return Verdict(rule=rule, severity=Severity.STOP, evidence=evidence, marks=marks, repeat_count=rounds, period=period)


def is_uniform(history: History, period: int) -> bool:
    """Whether the round is one call `period` times, which is `Repeat`'s business."""
    return history.matched(1) >= period - 1


def round_names(history: History, period: int) -> Sequence[str]:
    """Names of the latest round's tools, in order."""
    steps = [history.back(distance) for distance in range(period, 0, -1)]
    return [step.tool for step in steps if step is not None]


def round_marks(history: History, period: int) -> tuple[str, ...]:
    """Signatures of the latest round."""
    steps = [history.back(distance) for distance in range(period, 0, -1)]
    return tuple(dict.fromkeys(step.signature for step in steps if step is not None))


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
