"""A prompt that shrinks although its history grew: messages dropped in silence, the system prompt first.

A shorter prompt is no fault by itself. A compaction puts a summary in place of what it drops, so the
user's or the system's part grows; an editor that clears old results keeps the messages. What drops
messages and puts nothing in their place is a window that slides, and the model is not told what it has lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._verdict import Severity, Verdict

#: Prompts in a row that must have grown before one that does not counts: it shows that the history is sent each time.
_CLIMB_COUNT = 2
#: A summary is longer than the average of the messages that it replaces, by this factor at least.
_LONGER_RATIO = 1.25


@dataclass(frozen=True, slots=True)
class Truncation(TurnDetector):
    """Within one tool loop: no more messages than before and no summary (a warning), or no system prompt any more (a stop).

    Attributes:
        flat_after: prompts in a row that were longer than the one before and yet counted the same by the provider,
            which then does not read all of them: announced.
    """

    flat_after: int = 2
    rule: str = "truncation"

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Compare the prompt with the one before it: a loop that goes on has at least an answer and a result more."""
        was = turn.previous
        if was is None or not turn.after_tool or not turn.is_turn:
            return None
        is_shorter = turn.message_count <= was.message_count and turn.chars != was.chars
        lost_system = not turn.system_chars and was.system_chars > 0
        if not (is_shorter or lost_system) or not was.is_answered:
            return None
        strand = turn.strand
        if strand is None or strand.climb_count < _CLIMB_COUNT:
            return None
        is_summary = is_replaced(was, turn)
        if lost_system and strand.has_system:
            return self._verdict(Severity.WARN if is_summary else Severity.STOP, was, turn)
        return None if is_summary or not is_shorter else self._verdict(Severity.WARN, was, turn)

    def _verdict(self, severity: Severity, was: Turn, turn: Turn) -> Verdict:
        system = "" if turn.system_chars else f", and the system prompt of {was.system_chars:,} characters is gone"
        evidence = (
            f"the prompt went from {was.message_count} to {turn.message_count} messages ({was.chars:,} to {turn.chars:,} "
            f"characters) while the tool loop went on and nothing took their place{system if was.system_chars else ''}"
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
            rule=self.rule,
            severity=Severity.WARN,
            evidence=evidence,
            repeat_count=strand.flat_count,
            topic="unread",
            figures=figures,
        )


def is_replaced(was: Turn, now: Turn) -> bool:
    """Whether something stands in place of what was dropped: the system's or the user's part says something else now.

    In a loop that goes on the user says nothing new. So a part that changed without losing messages holds a summary; where
    it lost some, one that is larger, or whose messages are longer on average.
    """
    if now.system_chars and now.system_chars != was.system_chars:
        return True
    if not now.user_count or now.user_chars == was.user_chars:
        return False
    if now.user_chars > was.user_chars or now.user_count >= was.user_count:
        return True
    return now.user_chars * was.user_count >= _LONGER_RATIO * was.user_chars * now.user_count
