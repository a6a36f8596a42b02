"""A prompt that shrinks although its history grew: messages dropped in silence, the system prompt first.

A shorter prompt is no fault by itself. A compaction puts a summary in place of what it drops, so the user's or the system's
part says something else; an editor that clears old results keeps the messages. What drops messages and puts nothing in
their place is a window that slides, and the model is not told what it has lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._turn_strand import Strand
from runguard_core.detectors._verdict import Severity, Verdict


@dataclass(frozen=True, slots=True)
class Truncation(TurnDetector):
    """Within one tool loop: messages are missing (a warning), and the system prompt with them, prompt after prompt (a stop).

    Attributes:
        stop_after: prompts in a row without the system prompt that a cut took away; this one is not sent.
        flat_after: prompts in a row that were longer than the one before and yet counted the same by the provider,
            which then does not read all of them: announced.
    """

    stop_after: int = 2
    flat_after: int = 2
    rule: str = "truncation"

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Compare the prompt with the one before it."""
        was, strand = turn.previous, turn.strand
        if was is None or strand is None or not turn.after_tool:
            return None
        is_missing = not turn.system_chars
        if is_missing and strand.lost_chars and turn.is_turn and strand.lost_count + 1 >= self.stop_after:
            return self._gone(strand)
        if turn.message_count > was.message_count or not strand.is_cut(turn):
            return None
        is_stop = is_missing and strand.has_system and self.stop_after <= 1
        if not is_stop and turns.run.is_said(self.rule):
            return None
        return self._cut(Severity.STOP if is_stop else Severity.WARN, was, turn)

    def _gone(self, strand: Strand) -> Verdict:
        count = strand.lost_count + 1
        evidence = (
            f"the system prompt of {strand.lost_chars:,} characters was dropped with the oldest messages and is missing from "
            f"{count} prompts in a row"
        )
        figures = {"system_chars_before": strand.lost_chars, "system_chars_now": 0}
        return Verdict(rule=self.rule, severity=Severity.STOP, evidence=evidence, repeat_count=count, figures=figures)

    def _cut(self, severity: Severity, was: Turn, turn: Turn) -> Verdict:
        is_gone = was.system_chars and not turn.system_chars
        system = f", and the system prompt of {was.system_chars:,} characters is gone" if is_gone else ""
        evidence = (
            f"the prompt went from {was.message_count} to {turn.message_count} messages ({was.chars:,} to {turn.chars:,} "
            f"characters) while the tool loop went on and nothing took their place{system}"
        )
        figures = {
            "messages_before": was.message_count, "messages_now": turn.message_count, "chars_before": was.chars,
            "chars_now": turn.chars, "system_chars_before": was.system_chars, "system_chars_now": turn.system_chars,
        }  # fmt: skip
        return Verdict(rule=self.rule, severity=severity, evidence=evidence, repeat_count=1, figures=figures)

    def after(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Compare what the provider counted with what was sent."""
        strand, was = turn.strand, turn.previous
        if strand is None or strand.flat_count < self.flat_after or was is None or turn.counted_tokens is None:
            return None
        evidence = (
            f"the prompt grew from {was.chars:,} to {turn.chars:,} characters and {turn.model} counted {was.tokens:,} and "
            f"{turn.counted_tokens:,} tokens, {strand.flat_count} times in a row: it does not read all that it is sent"
        )
        figures = {
            "chars_before": was.chars, "chars_now": turn.chars, "tokens_before": was.tokens, "tokens_now": turn.counted_tokens,
        }  # fmt: skip
        return Verdict(
            rule=self.rule, severity=Severity.WARN, evidence=evidence, repeat_count=strand.flat_count, topic="unread",
            figures=figures,
        )  # fmt: skip
