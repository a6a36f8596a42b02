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

    def before(self, history: History, step: Step) -> Verdict | None:
        """Judge the candidate, which is not in the history yet; changes nothing. A stop refuses it."""
        ...

    def after(self, history: History, step: Step) -> Verdict | None:
        """Judge a call that has just ended. A stop latches the run: its next call of any kind is refused."""
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

    def before(self, step: Step) -> list[Verdict]:
        """What is said of the candidate, a stop last and alone of its kind; empty when there is nothing to say."""
        if self.repetition(step.tool) is Repetition.EXEMPT:
            return []
        return self._said([d.before(self.history, step) for d in self._detectors], step)

    def begin(self, step: Step) -> None:
        """The candidate starts; exempt tools leave no trace."""
        if self.repetition(step.tool) is not Repetition.EXEMPT:
            self.history.begin(step)

    def finish(self, step: Step, result: str | None, error: str | None, *, is_empty: bool = False) -> list[Verdict]:
        """The call has ended; what is said of it, as in `before`."""
        taken = self.repetition(step.tool)
        if taken is Repetition.EXEMPT:
            return []
        self.history.finish(step, result, error, is_empty=is_empty)
        if taken is Repetition.POLL and error is None:
            return []
        return self._said([d.after(self.history, step) for d in self._detectors], step)

    def _said(self, found: Sequence[Verdict | None], step: Step) -> list[Verdict]:
        if not any(found):
            return []
        softened = [self._softened(verdict, step.tool) for verdict in found if verdict is not None]
        said = [verdict for verdict in softened if verdict is not None]
        stop = next((verdict for verdict in said if verdict.severity is Severity.STOP), None)
        warned = [verdict for verdict in said if verdict.severity is Severity.WARN]
        return warned if stop is None else [*warned, stop]

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
