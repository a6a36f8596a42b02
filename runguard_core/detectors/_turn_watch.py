"""The turns of an agent instance with their detectors."""

from __future__ import annotations

from collections.abc import Sequence

from runguard_core.calls import Outcome
from runguard_core.detectors._delegation import Delegation
from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_growth import ContextGrowth
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._turn_overflow import Overflow
from runguard_core.detectors._turn_refusals import RateLimit
from runguard_core.detectors._turn_run import RunTurns
from runguard_core.detectors._turn_same_answer import SameAnswer
from runguard_core.detectors._turn_truncation import Truncation
from runguard_core.detectors._verdict import Severity, Verdict


def default_turn_detectors() -> tuple[TurnDetector, ...]:
    """Context growth, overflow, truncation, rate limit, delegation and same answer with their defaults."""
    return (Overflow(), Truncation(), RateLimit(), Delegation(), SameAnswer(), ContextGrowth())


class TurnWatch:
    """What a guard holds per agent instance beside its `Watch`.

    Attributes:
        reads_answers: whether a detector compares answers, so that outcomes need a digest of their text.
    """

    __slots__ = ("_after", "_before", "history", "reads_answers")

    def __init__(self, detectors: Sequence[TurnDetector], run: RunTurns) -> None:
        """An empty history under these detectors."""
        self.history = TurnHistory(run)
        self.reads_answers = any(getattr(found, "reads_answers", False) for found in detectors)
        self._before = [found.before for found in detectors if type(found).before is not TurnDetector.before]
        self._after = [found.after for found in detectors if type(found).after is not TurnDetector.after]

    def for_run(self, run: RunTurns) -> TurnWatch:
        """An empty history under the same detectors, in another run."""
        made = TurnWatch((), run)
        made._before, made._after, made.reads_answers = self._before, self._after, self.reads_answers
        return made

    def before(self, turn: Turn) -> list[Verdict]:
        """What is said of the candidate, a stop last; warnings that the run has had are left out."""
        history = self.history
        history.place(turn)
        found = [verdict for judge in self._before if (verdict := judge(history, turn)) is not None]
        return self._news(found) if found else found

    def begin(self, turn: Turn) -> None:
        """The candidate is sent."""
        self.history.begin(turn)

    def finish(self, turn: Turn, outcome: Outcome) -> list[Verdict]:
        """The call has ended; what is said of it, as in `before`."""
        history = self.history
        turn.end(outcome)
        history.finish(turn)
        found = [verdict for judge in self._after if (verdict := judge(history, turn)) is not None]
        turn.strand = None  # which holds the turn: nothing is left for the collector when the run is over
        return self._news(found) if found else found

    def _news(self, found: list[Verdict]) -> list[Verdict]:
        run = self.history.run
        news = [v for v in found if v.severity is Severity.STOP or not run.is_said(v.rule, v.topic)]
        for verdict in news:
            run.say(verdict.rule, verdict.topic)
        return sorted(news, key=lambda verdict: verdict.severity is Severity.STOP)
