"""Agents that hand over to each other and get nowhere: A, B, A, B and nothing new in between."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._verdict import Severity, Verdict


@dataclass(frozen=True, slots=True)
class Delegation(TurnDetector):
    """Visits in a row that brought nothing new: no new tool result, no new answer, no new message of the user.

    Attributes:
        warn_after: rounds of such visits that are announced when one more agent takes over.
        stop_after: rounds after which no other agent takes over any more.
    """

    warn_after: int = 1
    stop_after: int = 2
    rule: str = "delegation"
    #: It needs the digests of answers.
    reads_answers: ClassVar[bool] = True

    def quiet_tokens(self, turn: Turn) -> float:
        """The same agent hands over to nobody."""
        return inf

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Judge a call of another agent than the one before."""
        handoffs = turns.run.handoffs
        if handoffs is None or not turn.is_turn or not handoffs.changes_to(turn.agent):
            return None
        count = handoffs.bare_visits(turn.agent or "")
        rounds, names = handoffs.rounds(count) if count > 1 else (0, [])
        if rounds < self.warn_after or turn.agent not in names:  # work that goes from hand to hand does not come back
            return None
        trail = " -> ".join([*names, turn.agent or ""])
        evidence = f"control went {trail}, and {count} visits in a row brought nothing new: they only handed over"
        severity = Severity.STOP if rounds >= self.stop_after else Severity.WARN
        return Verdict(rule=self.rule, severity=severity, evidence=evidence, repeat_count=count)
