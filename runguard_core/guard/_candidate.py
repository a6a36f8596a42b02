"""A call on its way through admission."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from runguard_core.attribution import Attribution, in_turn
from runguard_core.budgets import Mode
from runguard_core.calls import Call
from runguard_core.guard._callers import Caller

if TYPE_CHECKING:
    from runguard_core.detectors import Step, Turn
    from runguard_core.guard._quoting import Priced


class Candidate:
    """What admission knows of a call.

    Attributes:
        call, call_id: what is about to be called; caller: whose it is; state, lane: the caller's run and history.
        at: the instant of admission (UTC); started: the same on the stopwatch, in seconds.
        priced: its price, once known, with `turn_number` and `loop_number`, under which it is counted from then on.
        is_admitted: nothing may undo it any more.
        turn: the turn that a model call itself opened; step, turn_seen: what detectors see of a tool call, of a model call.
    """

    __slots__ = (
        "_who", "at", "call", "call_id", "caller", "is_admitted", "lane", "loop_number", "priced", "started", "state", "step",
        "turn", "turn_number", "turn_seen",
    )  # fmt: skip

    def __init__(self, call: Call, call_id: str, caller: Caller, at: datetime, started: float) -> None:
        """A call that nothing has been decided about."""
        self.call, self.call_id, self.caller = call, call_id, caller
        self.at, self.started = at, started
        self.state, self.lane = caller.state, caller.lane
        self.priced: Priced | None = None
        self.is_admitted = False
        self.turn: int | None = None
        self.turn_number: int | None = None
        self.loop_number: int | None = None
        self.step: Step | None = None
        self.turn_seen: Turn | None = None
        self._who: Attribution | None = None

    @property
    def who(self) -> Attribution:
        """Who pays, with turn and tool loop once they are known."""
        if self.turn_number is None and self.loop_number is None:
            return self.caller.who
        if self._who is None:
            self._who = in_turn(self.caller.who, self.turn_number, self.loop_number)
        return self._who

    @property
    def mode(self) -> Mode:
        """Enforce or observe."""
        return self.caller.mode

    @property
    def enforced(self) -> bool:
        """Whether a stop is raised or only announced."""
        return self.caller.mode is Mode.ENFORCE

    @property
    def signature(self) -> str | None:
        """Of a tool call; None for model calls."""
        return None if self.step is None else self.step.signature

    def uncount(self) -> None:
        """It is not admitted: its run has neither made nor paid for it."""
        if self.priced is not None and not self.is_admitted:
            with self.state.lock:
                self.state.uncount(self.call, self.priced.quote.nanos or 0)

    def undo_turn(self) -> None:
        """A call that was not admitted makes no turn."""
        if self.turn is not None and not self.is_admitted:
            with self.state.lock:
                self.state.undo_turn(self.lane, self.turn)
