"""The protocol of detectors of model calls."""

from __future__ import annotations

from typing import ClassVar, Protocol

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._verdict import Verdict


class TurnDetector(Protocol):
    """Judges model calls by what one agent instance and its run have sent. Pure: what it knows is in the history.

    A class that derives from it may leave out the half that it does not need; that half then costs nothing. One that says
    when it has nothing to say (`quiet_tokens`, `judges_faults_only`) is not asked then: most calls are of this kind.

    Attributes:
        judges_faults_only: `after` has nothing to say of a proper answer to a prompt that the provider read in full.
    """

    judges_faults_only: ClassVar[bool] = False

    @property
    def rule(self) -> str:
        """Name of the rule, as in verdicts and policies."""
        ...

    def quiet_tokens(self, turn: Turn) -> float:
        """Below so many tokens (prompt and answer together) `before` has nothing to say of a call of this model.

        As long as `TurnHistory.is_steady`; 0 asks for every call to be judged.
        """
        return 0

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Judge a call about to be sent, which is not in the history yet; changes nothing. A stop refuses it."""
        return None

    def after(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Judge a call that has just ended. A stop latches the run: its next call of any kind is refused."""
        return None
