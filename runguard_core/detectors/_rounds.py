"""Rounds: the same call (period 1) or the same sequence of calls (periods 2 to 8), made again with equal outcomes."""

from __future__ import annotations

from runguard_core.detectors._history import TROUBLE_STEPS, History
from runguard_core.detectors._patience import patience
from runguard_core.detectors._step import Step
from runguard_core.detectors._verdict import Severity, Verdict

#: Where a person asked in between, the same call is first of all an answer to that.
PROMPTED_FACTOR = 2


def judge_round(rule: str, history: History, step: Step, *, period: int, stop_after: int) -> Verdict | None:
    """A stop, when this call would complete the first round that is not tolerated and nothing has changed from round to round."""
    matched = history.would_match(period, step.signature)
    if matched < period * (stop_after - 1) or (period > 1 and is_uniform(history, period)):
        return None
    agree = history.outcomes_agree(period, period * (stop_after - 1) - 1)
    if agree is False:
        return None
    if agree or history.is_reporting:
        allowed = patience(stop_after, (one.answer for one in history.latest(period)))
    else:
        allowed = stop_after
    if period == 1 and history.is_prompted(step):
        allowed *= PROMPTED_FACTOR
    if matched < period * (allowed - 1) or history.outcomes_agree(period, period * (allowed - 1) - 1) is False:
        return None
    equal = matched - 1 if agree is None else history.agreed(period, matched - 1)  # calls of the past that repeat a round
    completes = (equal + 1) % period == 0
    rounds = equal // period + 1 + completes
    evidence = _sentence(history, step, period, rounds, completes=completes, reported=bool(agree))
    marks = round_marks(history, step, period)
    return Verdict(rule=rule, severity=Severity.STOP, evidence=evidence, marks=marks, repeat_count=rounds, period=period)


def _sentence(history: History, step: Step, period: int, rounds: int, *, completes: bool, reported: bool) -> str:
    outcomes = "equal results" if reported else "no result reported"
    if period == 1:
        return f"{step.tool} would be called for the {ordinal(rounds)} time in a row with equal arguments and {outcomes}"
    names = " -> ".join(one.tool for one in history.latest(period))
    if completes:
        return f"the round {names} would be made for the {ordinal(rounds)} time with equal arguments and {outcomes}"
    return f"the round {names} was made {rounds} times with equal arguments and {outcomes}, and would go on"


def is_uniform(history: History, period: int) -> bool:
    """Whether the round is one call `period` times, which is `Repeat`'s business."""
    return history.matched(1) >= period - 1


def differs(history: History, step: Step) -> bool:
    """Whether this latest step is another call than the one before; equal calls are `Repeat`'s business."""
    before = history.back(2)
    return step is history.back(1) and before is not None and before.signature != step.signature


def troubled(count: int) -> str:
    """The part of a sentence that says a run was in trouble already."""
    return f"; of the {TROUBLE_STEPS} calls before, {count} failed or repeated" if count else ""


def round_marks(history: History, step: Step, period: int) -> tuple[str, ...]:
    """Signatures of the latest round."""
    return (step.signature,) if period == 1 else tuple(dict.fromkeys(one.signature for one in history.latest(period)))


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
