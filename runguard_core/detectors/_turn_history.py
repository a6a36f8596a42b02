"""What one agent instance has sent so far, and its run with it.

An agent sends prompts of two kinds: rounds of its loop, which offer tools, and questions on the side, which do not
(a summary, a plan, the last answer). Each kind is a strand of its own, so that a small question between two
rounds is not taken for a prompt that shrank.
"""

from __future__ import annotations

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_run import RunTurns
from runguard_core.detectors._turn_strand import Strand
from runguard_core.detectors._turn_stretch import Stretch


class TurnHistory:
    """Two strands and the run. Bounded: of each strand the latest turn and some counts are kept.

    Attributes:
        run: what all agents of the run have in common.
    """

    __slots__ = ("_rounds", "_sides", "run")

    def __init__(self, run: RunTurns) -> None:
        """Empty; a strand is made on first use."""
        self.run = run
        self._rounds: Strand | None = None
        self._sides: Strand | None = None

    def place(self, turn: Turn) -> None:
        """Give a candidate its strand, and project it from the turn before."""
        if turn.is_chat:
            turn.project((self._rounds if turn.call.tool_count else self._sides) or self._new(turn))

    def _new(self, turn: Turn) -> Strand:
        made = Strand()
        if turn.has_tools:
            self._rounds = made
        else:
            self._sides = made
        return made

    def hear(self, turn: Turn) -> None:
        """An answer has come: it continues its strand's stretch of answers. A tool, before or after it, ends those of both."""
        strand, names = turn.strand, turn.tool_names
        if names or turn.after_tool:
            if self._rounds is not None:
                self._rounds.stretch = None
            if self._sides is not None:
                self._sides.stretch = None
        if strand is not None and not names:
            if strand.stretch is None:
                strand.stretch = Stretch()
            strand.stretch.hear(turn)

    def is_steady(self, turn: Turn) -> bool:
        """Whether a candidate goes on as before: nobody refuses, no other agent takes over, tools run and nothing is lost."""
        run, was = self.run, turn.previous
        if run.refusals or (run.handoffs is not None and run.handoffs.changes_to(turn.agent)):
            return False
        strand = turn.strand
        if strand is not None and strand.stretch is not None and strand.stretch.idle_count > 1:
            return False
        return was is None or not turn.call.after_tool or turn.goes_on_from(was)
