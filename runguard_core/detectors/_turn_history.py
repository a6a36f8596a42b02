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
            strand = self._rounds if turn.has_tools else self._sides
            turn.project(self._new(turn) if strand is None else strand)

    def _new(self, turn: Turn) -> Strand:
        made = Strand()
        if turn.has_tools:
            self._rounds = made
        else:
            self._sides = made
        return made

    def begin(self, turn: Turn) -> None:
        """The candidate is sent."""
        self.run.begin(turn)
        if turn.strand is not None:
            turn.strand.begin(turn)

    def finish(self, turn: Turn) -> None:
        """The call has ended, and `turn.end` has been told how."""
        self.run.finish(turn)
        if turn.strand is not None:
            turn.strand.finish(turn)

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
