"""A call on its way through admission."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from runguard_core.attribution import Attribution
from runguard_core.budgets import Mode
from runguard_core.calls import Call
from runguard_core.detectors import Step
from runguard_core.guard._runs import Lane, RunState


@dataclass(slots=True)
class Candidate:
    """What admission knows of a call; `who` gains turn and loop on the way.

    `step` is what detectors see of a tool call; `turn` the one that a model call itself opened.
    """

    call: Call
    call_id: str
    who: Attribution
    at: datetime
    mode: Mode
    state: RunState
    lane: Lane
    step: Step | None = None
    turn: int | None = None
    is_alone: bool = False

    @property
    def signature(self) -> str | None:
        """Of a tool call; None for model calls."""
        return None if self.step is None else self.step.signature

    @property
    def enforced(self) -> bool:
        """Whether a stop is raised or only announced."""
        return self.mode is Mode.ENFORCE
