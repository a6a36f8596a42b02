"""Rows and rounds of calls that are alike without being equal: counted one call at a time, and kept with the steps."""

from __future__ import annotations

from collections.abc import Callable

from runguard_core.detectors._history import MAX_SKETCHES, History, counts
from runguard_core.detectors._likeness import likeness, words_of
from runguard_core.detectors._step import Step

#: Calls of the rounds looked for: the arguments of so many calls are still there to compare.
_PERIODS = tuple(range(2, MAX_SKETCHES + 1))


def alike_count(history: History, step: Step, least: float) -> int:
    """Calls of one tool in a row, up to this latest one, alike in arguments and end. Asked after every call."""
    before = history.back(2) if step is history.back(1) else None
    step.alike_count = 1
    if before is not None and ended_alike(before, step) and is_alike(before, step, least):
        step.alike_count = max(before.alike_count, 1) + counts(before, step)
    return step.alike_count


def alike_rounds(history: History, step: Step, least: float) -> dict[int, int] | None:
    """By length of a round, how many of the latest calls are alike, in arguments and end, to the one a round earlier.

    None when there is none. Asked after every call.
    """
    before = history.back(2)
    kept = (before.near if before is not None else None) or {}
    step.near = _rounds(history, step, kept, lambda early: is_alike(early, step, least))
    return step.near


def equal_rounds(history: History, step: Step) -> dict[int, int] | None:
    """The same for calls of one tool that ended alike, whatever their arguments."""
    before = history.back(2)
    kept = (before.ended if before is not None else None) or {}
    step.ended = _rounds(history, step, kept, None)
    return step.ended


def _rounds(history: History, step: Step, kept: dict[int, int], is_alike: Callable[[Step], bool] | None) -> dict[int, int] | None:
    if step is not history.back(1):
        return None
    found: dict[int, int] | None = None
    for period in _PERIODS:
        early = history.back(period + 1)
        if early is None:
            break
        if early.tool == step.tool and ended_alike(early, step) and (is_alike is None or is_alike(early)):
            found = found or {}
            found[period] = kept.get(period, 0) + 1
    return found


def is_alike(before: Step, step: Step, least: float) -> bool:
    """Whether two calls ask one tool for nearly the same."""
    if before.tool != step.tool:
        return False
    if before.signature == step.signature:
        return True
    before.words = before.words if before.words is not None else words_of(before.sketch)
    step.words = words_of(step.sketch)
    return likeness(before.words, step.words) >= least


def ended_alike(before: Step, step: Step) -> bool:
    """Whether both came to the same answer, or to the same failure."""
    if step.failure is not None and step.failure == before.failure:
        return True
    return step.result is not None and step.result == before.result
