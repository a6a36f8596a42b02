"""A history with its detectors and the policy's word on single tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol

from runguard_core.detectors._answer import Answer
from runguard_core.detectors._cycle import Cycle
from runguard_core.detectors._error_streak import ErrorStreak
from runguard_core.detectors._history import History
from runguard_core.detectors._near_duplicate import NearDuplicate
from runguard_core.detectors._repeat import Repeat
from runguard_core.detectors._same_result import SameResult
from runguard_core.detectors._stall import Stall
from runguard_core.detectors._step import Ending, Step
from runguard_core.detectors._verdict import Severity, Verdict


class Detector(Protocol):
    """Judges tool calls by the history of one agent instance. Pure: what it knows is in the history."""

    @property
    def rule(self) -> str:
        """Name of the rule, as in verdicts and policies."""
        ...

    def before(self, history: History, step: Step) -> Verdict | None:
        """Judge the candidate, which is not in the history yet; changes nothing. A stop refuses it."""
        ...

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended.

        A stop latches the run: its next call of any kind is refused. With `is_held` it waits for the next tool call, and falls
        when a person's prompt comes first.
        """
        ...


class Repetition(StrEnum):
    """How repeating a tool is taken.

    LOOP: as a loop. POLL: equal results are what polling looks like, so only a warning at ten times the usual count.
    OBSERVE: stops become warnings. EXEMPT: not looked at. A round is taken as its most lenient tool is.
    """

    LOOP = "loop"
    POLL = "poll"
    OBSERVE = "observe"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True)
class ToolRule:
    """The policy's word on tools whose name matches `pattern` (as in file names: * and ?)."""

    pattern: str
    repetition: Repetition = Repetition.LOOP


_POLL_FACTOR = 10
_MAX_NAMES = 1000
#: A call that has so often been answered otherwise than the time before may be polling.
_LIVE_CHANGES = 3
_SOFTENED = frozenset({"repeat", "cycle", "stall"})
_FAILURES = frozenset({Answer.FAILED, Answer.BUSY})
_NOTHING_SAID: tuple[Verdict, ...] = ()


def default_detectors() -> tuple[Detector, ...]:
    """All of this package, with their defaults."""
    return (Repeat(), Cycle(), NearDuplicate(), SameResult(), Stall(), ErrorStreak())


class Watch:
    """What a guard holds per agent instance.

    Attributes:
        history: the calls of the instance.
        reads_sketch: whether a detector compares arguments, so that steps need a sketch of them.
    """

    __slots__ = ("_after", "_before", "_held", "_rules", "_taken", "history", "reads_sketch")

    def __init__(self, detectors: Sequence[Detector], rules: Sequence[ToolRule] = ()) -> None:
        """An empty history under these detectors."""
        self.history = History()
        self._before = [detector.before for detector in detectors]
        self._after = [detector.after for detector in detectors]
        self.reads_sketch = any(getattr(detector, "reads_sketch", False) for detector in detectors)
        self._rules = rules
        self._taken: dict[str, Repetition] = {}
        self._held: Sequence[Verdict] = _NOTHING_SAID

    def before(self, step: Step) -> Sequence[Verdict]:
        """What is said of the candidate: warnings, then stops; empty when there is nothing to say.

        All stops, for which of them are only watched is not known here; the first is the oldest.
        """
        taken = self.repetition(step.tool) if self._rules else Repetition.LOOP
        if taken is Repetition.EXEMPT:
            return _NOTHING_SAID
        step.is_poll = taken is Repetition.POLL
        if not self._held:
            return self._said(self._before, step)
        held, self._held = [replace(verdict, is_held=False) for verdict in self._held], _NOTHING_SAID
        if self.history.is_prompted(step):
            held = []  # a person has read the answer and asks for something else
        return _stops_last([*held, *self._said(self._before, step)])

    def begin(self, step: Step) -> None:
        """The candidate starts; exempt tools leave no trace."""
        if not self._rules or self.repetition(step.tool) is not Repetition.EXEMPT:
            self.history.begin(step)

    def finish(self, step: Step, ending: Ending) -> Sequence[Verdict]:
        """The call has ended; what is said of it, as in `before`."""
        taken = self.repetition(step.tool) if self._rules else Repetition.LOOP
        if taken is Repetition.EXEMPT:
            return _NOTHING_SAID
        self.history.finish(step, ending)
        if taken is Repetition.POLL and ending.error is None:
            return _NOTHING_SAID
        return self._hold(self._said(self._after, step))

    def _hold(self, said: Sequence[Verdict]) -> Sequence[Verdict]:
        """A stop that is held is a warning now, and a stop before the next tool call."""
        held = [verdict for verdict in said if verdict.is_held] if said else _NOTHING_SAID
        if not held:
            return said
        self._held = held
        return _stops_last([replace(verdict, severity=Severity.WARN) if verdict.is_held else verdict for verdict in said])

    def recall(self, step: Step, ending: Ending) -> None:
        """A call of the past, as a ledger kept it: nothing is said of it."""
        taken = self.repetition(step.tool)
        if taken is not Repetition.EXEMPT:
            step.is_poll = taken is Repetition.POLL
            self._held = _NOTHING_SAID
            self.history.begin(step)
            self.finish(step, ending)

    def _said(self, judges: Sequence[Callable[[History, Step], Verdict | None]], step: Step) -> Sequence[Verdict]:
        history, found = self.history, None
        for judge in judges:
            verdict = judge(history, step)
            if verdict is not None:
                found = [verdict] if found is None else [*found, verdict]
        return _NOTHING_SAID if found is None else self._ordered(found, step)

    def _ordered(self, found: Sequence[Verdict], step: Step) -> Sequence[Verdict]:
        """Softened where the policy or the tool's past says so; stops after all warnings."""
        softened = [self._softened(verdict, step) for verdict in found]
        return _stops_last([verdict for verdict in softened if verdict is not None])

    def repetition(self, tool: str) -> Repetition:
        """How the policy takes this tool's repetitions."""
        if not self._rules:
            return Repetition.LOOP
        found = self._taken.get(tool)
        if found is None:
            matches = (rule.repetition for rule in self._rules if fnmatchcase(tool, rule.pattern))
            if len(self._taken) >= _MAX_NAMES:  # a model may invent names without end
                self._taken.clear()
            found = self._taken[tool] = next(matches, Repetition.LOOP)
        return found

    def _softened(self, verdict: Verdict, step: Step) -> Verdict | None:
        taken = self._round_taken(verdict, step.tool) if self._rules else Repetition.LOOP
        if taken is Repetition.LOOP:
            return self._softened_by_past(verdict, step)
        if taken is Repetition.POLL and verdict.rule != "error_streak" and verdict.repeat_count < _POLL_FACTOR * 3:
            return None
        return replace(verdict, severity=Severity.WARN, is_held=False)

    def _round_taken(self, verdict: Verdict, tool: str) -> Repetition:
        """A round is taken as its most lenient tool is: polling with a pause in between is still polling."""
        steps = self.history.latest(verdict.period) if verdict.period > 1 else []
        taken = {self.repetition(tool), *(self.repetition(step.tool) for step in steps)}
        return next(kind for kind in (Repetition.POLL, Repetition.OBSERVE, Repetition.LOOP, Repetition.EXEMPT) if kind in taken)

    def _softened_by_past(self, verdict: Verdict, step: Step) -> Verdict:
        """A stop becomes a warning where equal calls have kept getting other answers; failures and long streaks excepted."""
        if step.is_vague:
            return replace(verdict, severity=Severity.WARN, is_held=False)
        if verdict.severity is not Severity.STOP or verdict.rule not in _SOFTENED or verdict.repeat_count >= _POLL_FACTOR * 3:
            return verdict
        last = step if step.is_finished else self.history.back(1)
        if last is None or last.answer in _FAILURES:
            return verdict
        asked = {step.signature} if verdict.period == 1 else {one.signature for one in self.history.latest(verdict.period)}
        least = 1 if last.answer is Answer.BRIEF else _LIVE_CHANGES  # a number that changes at all may be the same by chance
        is_live = any(self.history.changed_count(signature) >= least for signature in asked)
        return replace(verdict, severity=Severity.WARN, is_held=False) if is_live else verdict


def _stops_last(said: list[Verdict]) -> list[Verdict]:
    return sorted(said, key=lambda verdict: verdict.severity is Severity.STOP)
