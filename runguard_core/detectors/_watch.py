"""A history with its detectors and the policy's word on single tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol

from runguard_core.detectors._error_streak import ErrorStreak
from runguard_core.detectors._history import History, Step
from runguard_core.detectors._repeat import Cycle, Repeat
from runguard_core.detectors._verdict import Severity, Verdict


class Detector(Protocol):
    """Judges tool calls by the history of one agent instance. Pure: what it knows is in the history."""

    @property
    def rule(self) -> str:
        """Name of the rule, as in verdicts and policies."""
        ...

    def before(self, history: History, tool: str, signature: str) -> Verdict | None:
        """Judge the next call, before it is made; changes nothing."""
        ...

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended."""
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


def default_detectors() -> tuple[Detector, ...]:
    """Repeat, cycle and error streak with their defaults."""
    return (Repeat(), Cycle(), ErrorStreak())


class Watch:
    """What a guard holds per agent instance."""

    __slots__ = ("_detectors", "_rules", "_taken", "history")

    def __init__(self, detectors: Sequence[Detector], rules: Sequence[ToolRule] = ()) -> None:
        """An empty history under these detectors."""
        self.history = History()
        self._detectors, self._rules = detectors, rules
        self._taken: dict[str, Repetition] = {}

    def before(self, tool: str, signature: str) -> Verdict | None:
        """The severest verdict on the next call; None when there is nothing to say."""
        if self.repetition(tool) is Repetition.EXEMPT:
            return None
        found: Verdict | None = None
        for detector in self._detectors:
            verdict = detector.before(self.history, tool, signature)
            if verdict is not None:
                verdict = self._softened(verdict, tool)
            if verdict is not None and (found is None or verdict.severity is Severity.STOP):
                found = verdict
                if verdict.severity is Severity.STOP:
                    break
        return found

    def begin(self, tool: str, signature: str) -> Step | None:
        """The call starts; None for exempt tools, which leave no trace."""
        return None if self.repetition(tool) is Repetition.EXEMPT else self.history.begin(tool, signature)

    def finish(self, step: Step | None, result: str | None, error: str | None) -> Verdict | None:
        """The call has ended; the first warning, if any."""
        if step is None:
            return None
        self.history.finish(step, result, error)
        if self.repetition(step.tool) is Repetition.POLL and error is None:
            return None
        for detector in self._detectors:
            verdict = detector.after(self.history, step)
            if verdict is not None:
                verdict = self._softened(verdict, step.tool)
            if verdict is not None:
                return verdict
        return None

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

    def _softened(self, verdict: Verdict, tool: str) -> Verdict | None:
        taken = self._round_taken(verdict, tool) if self._rules else Repetition.LOOP
        if taken is Repetition.LOOP:
            return verdict
        if taken is Repetition.POLL and verdict.rule != "error_streak" and verdict.repeat_count < _POLL_FACTOR * 3:
            return None
        return replace(verdict, severity=Severity.WARN)

    def _round_taken(self, verdict: Verdict, tool: str) -> Repetition:
        """A round is taken as its most lenient tool is: polling with a pause in between is still polling."""
        steps = [self.history.back(distance) for distance in range(1, verdict.period + 1)] if verdict.period > 1 else []
        taken = {self.repetition(tool), *(self.repetition(step.tool) for step in steps if step is not None)}
        return next(kind for kind in (Repetition.POLL, Repetition.OBSERVE, Repetition.LOOP, Repetition.EXEMPT) if kind in taken)
