"""The detectors of a guard's model calls, sorted once by when they have to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from runguard_core.detectors._turn import PromptPrices, Turn
from runguard_core.detectors._turn_detector import TurnDetector

_MAX_MODELS = 1000


class TurnJudges:
    """Most calls give nobody anything to say: far below every limit, of a history that goes on as before, and answered.

    Attributes:
        before: judges of calls about to be sent; `quiet_tokens` says which calls need none of them.
        after: judges of calls that have ended; after_all: those of them that judge proper answers too.
        reads_answers: whether a detector compares answers, so that outcomes need a digest of their text.
    """

    __slots__ = ("_detectors", "_quiet", "after", "after_all", "before", "reads_answers")

    def __init__(self, detectors: Sequence[TurnDetector]) -> None:
        """Only halves that a detector has."""
        before = [found for found in detectors if type(found).before is not TurnDetector.before]
        after = [found for found in detectors if type(found).after is not TurnDetector.after]
        self.before = [found.before for found in before]
        self.after = [found.after for found in after]
        self.after_all = [found.after for found in after if not getattr(found, "judges_faults_only", False)]
        self.reads_answers = any(getattr(found, "reads_answers", False) for found in detectors)
        self._detectors = before
        self._quiet: dict[str, tuple[PromptPrices | None, float]] = {}

    def quiet_tokens(self, turn: Turn) -> float:
        """Calls of the turn's model with fewer tokens, prompt and answer, are judged only where the history is not steady."""
        known = self._quiet.get(turn.model)
        if known is not None and known[0] is turn.prices:
            return known[1]
        if len(self._quiet) >= _MAX_MODELS:
            self._quiet.clear()
        quiet = min((_quiet_tokens(found, turn) for found in self._detectors), default=inf)
        self._quiet[turn.model] = (turn.prices, quiet)
        return quiet


def _quiet_tokens(detector: TurnDetector, turn: Turn) -> float:
    """What a detector says of itself; one that does not derive from `TurnDetector` may say nothing, and sees every call."""
    said = getattr(detector, "quiet_tokens", None)
    return 0 if said is None else said(turn)
