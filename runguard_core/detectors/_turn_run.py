"""What the model calls of a whole run have in common: refusals in a row, and who handed over to whom.

It is kept per run and agent name, not per instance: a sub-agent that is made anew for each attempt starts no new count.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_handoffs import Handoffs

#: Refusals kept of one agent; agents kept of one run.
MAX_REFUSALS = 64
_MAX_AGENTS = 256


class Refusals:
    """Calls of one agent that were answered "not now" since its last proper answer.

    Attributes:
        attempts: when each was asked for, how many requests were made for it, the model, the status. Calls that were under
            way at the same time count once: a crowd is no cascade.
        status: HTTP status of the latest.
    """

    __slots__ = ("_order", "attempts", "status")

    def __init__(self) -> None:
        """None yet."""
        self.attempts: deque[tuple[datetime, int, str, int]] = deque(maxlen=MAX_REFUSALS)
        self._order, self.status = -1, 0

    def add(self, turn: Turn, order: int) -> None:
        """One more, unless it was sent before the latest one was known."""
        if turn.order > self._order:
            self._order, self.status = order, turn.status or 429
            self.attempts.append((turn.at, turn.attempt_count, turn.model, self.status))


class RunTurns:
    """The run's side of every `TurnHistory`.

    Attributes:
        refusals: by agent and operation; handoffs: who handed over to whom, None while there is one agent.
    """

    __slots__ = ("_latest", "_order", "_pending_count", "_said", "handoffs", "refusals")

    def __init__(self) -> None:
        """Empty."""
        self._order = self._pending_count = 0
        self.refusals: dict[tuple[str | None, str], Refusals] = {}
        self.handoffs: Handoffs | None = None
        self._latest: Turn | None = None
        self._said: set[tuple[str, str]] = set()

    def is_said(self, rule: str, topic: str = "") -> bool:
        """Whether the run has been warned of this."""
        return bool(self._said) and (rule, topic) in self._said

    def say(self, rule: str, topic: str = "") -> None:
        """The run is warned of this; once is enough."""
        self._said.add((rule, topic))

    def begin(self, turn: Turn) -> None:
        """A call is sent."""
        turn.order = self._order = self._order + 1
        if turn.is_turn and turn.agent is not None:
            latest, self._latest = self._latest, turn
            if self.handoffs is not None or (latest is not None and latest.agent != turn.agent):
                self._hand(latest, turn)
        self._pending_count += 1

    def _hand(self, latest: Turn | None, turn: Turn) -> None:
        """A call of a run that has, or has now got, more than one agent."""
        if self.handoffs is None and latest is not None:
            self.handoffs = Handoffs(latest)
        if self.handoffs is not None:
            self._latest = None  # the visits know
            self.handoffs.begin(turn, is_alone=self._pending_count == 0)

    def finish(self, turn: Turn) -> None:
        """A call has ended: an answer ends the agent's refusals, one more refusal is added to them."""
        self._order += 1
        self._pending_count -= 1
        if turn.is_answered:
            if self.refusals:
                self.refusals.pop((turn.agent, turn.operation), None)
            if self.handoffs is not None and turn.agent is not None and turn.is_turn:
                self.handoffs.finish(turn)
        elif turn.is_refused:
            if len(self.refusals) >= _MAX_AGENTS:
                self.refusals.clear()
            self.refusals.setdefault((turn.agent, turn.operation), Refusals()).add(turn, self._order)
