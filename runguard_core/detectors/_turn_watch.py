"""The turns of an agent instance with their detectors."""

from __future__ import annotations

from collections.abc import Sequence

from runguard_core.calls import Outcome
from runguard_core.detectors._delegation import Delegation
from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_growth import ContextGrowth
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._turn_judges import TurnJudges
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

    __slots__ = ("_judges", "history", "reads_answers")

    def __init__(self, detectors: Sequence[TurnDetector], run: RunTurns, judges: TurnJudges | None = None) -> None:
        """An empty history under these detectors, or under judges that others have made of theirs."""
        self._judges, self.history = judges or TurnJudges(detectors), TurnHistory(run)
        self.reads_answers = self._judges.reads_answers

    def for_run(self, run: RunTurns) -> TurnWatch:
        """An empty history under the same detectors, in another run."""
        return TurnWatch((), run, self._judges)

    def before(self, turn: Turn) -> list[Verdict]:
        """What is said of the candidate, a stop last; warnings that the run has had are left out."""
        history, judges = self.history, self._judges
        history.place(turn)
        if turn.tokens + turn.answer_tokens < judges.quiet_tokens(turn) and history.is_steady(turn):
            return []
        found = [verdict for judge in judges.before if (verdict := judge(history, turn)) is not None]
        return self._news(found) if found else found

    def begin(self, turn: Turn) -> None:
        """The candidate is sent."""
        self.history.run.begin(turn)
        if turn.strand is not None:
            turn.strand.begin(turn)

    def finish(self, turn: Turn, outcome: Outcome) -> list[Verdict]:
        """The call has ended; what is said of it, as in `before`."""
        history, strand = self.history, turn.strand
        turn.end(outcome)
        history.run.finish(turn)
        if strand is not None:
            strand.finish(turn)
        is_well = turn.is_answered and (strand is None or not strand.flat_count)
        judges = self._judges.after_all if is_well else self._judges.after
        found = [verdict for judge in judges if (verdict := judge(history, turn)) is not None] if judges else []
        turn.strand = None  # which holds the turn: nothing is left for the collector when the run is over
        return self._news(found) if found else found

    def _news(self, found: list[Verdict]) -> list[Verdict]:
        run = self.history.run
        news = [v for v in found if v.severity is Severity.STOP or not run.is_said(v.rule, v.topic)]
        for verdict in news:
            run.say(verdict.rule, verdict.topic)
        return sorted(news, key=lambda verdict: verdict.severity is Severity.STOP)
