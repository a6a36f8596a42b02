"""A prompt that shrinks although its history grew: messages dropped in silence, the system prompt first.

A shorter prompt is no fault by itself. A compaction puts a summary in place of what it drops, so the user's or the system's
part says something else; an editor that clears old results keeps the messages. What drops messages and puts nothing in
their place is a window that slides, and the model is not told what it has lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_history import TurnHistory
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

    judges_faults_only: ClassVar[bool] = True

    def quiet_tokens(self, turn: Turn) -> float:
        """A history that is steady has lost nothing, whatever its size."""
        return inf

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Compare the prompt with the one before it."""
        was, strand = turn.previous, turn.strand
        if was is None or strand is None or not turn.after_tool:
            return None
        if turn.goes_on_from(was):
            return None
        missing = strand.missing_count(turn)
        is_first_loss = strand.has_system and not turn.system_chars
        if missing and is_first_loss and missing > 1 and self.stop_after <= 1:
            return self._gone(was.system_chars, 1, missing - 1)
        if strand.lost_chars and not turn.system_chars and turn.is_turn:
            count, dropped = strand.lost_count + 1, strand.dropped_count + missing
            if dropped and count >= self.stop_after:
                return self._gone(strand.lost_chars, count, dropped)
        return None if not missing or turns.run.is_said(self.rule) else self._cut(was, turn, missing)

    def _gone(self, lost_chars: int, count: int, dropped: int) -> Verdict:
        """Dropping the system prompt alone might be a change of roles; with other messages it is none."""
        evidence = (
            f"the system prompt of {lost_chars:,} characters was dropped with at least {dropped} other messages and is missing "
            f"from {count} prompts in a row"
        )
        figures = {"system_chars_before": lost_chars, "system_chars_now": 0, "missing_count": dropped + 1}
        return Verdict(rule=self.rule, severity=Severity.STOP, evidence=evidence, repeat_count=count, figures=figures)

    def _cut(self, was: Turn, turn: Turn, missing: int) -> Verdict:
        is_gone = was.system_chars and not turn.system_chars
        system = f"; the system prompt of {was.system_chars:,} characters is gone" if is_gone else ""
        evidence = (
            f"at least {missing} messages were dropped from the prompt and nothing took their place while the tool loop went on: "
            f"{was.message_count} messages before ({was.chars:,} characters), {turn.message_count} now ({turn.chars:,}){system}"
        )
        figures = {
            "messages_before": was.message_count, "messages_now": turn.message_count, "chars_before": was.chars,
            "chars_now": turn.chars, "system_chars_before": was.system_chars, "system_chars_now": turn.system_chars,
            "missing_count": missing,
        }  # fmt: skip
        return Verdict(rule=self.rule, severity=Severity.WARN, evidence=evidence, repeat_count=1, figures=figures)

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
