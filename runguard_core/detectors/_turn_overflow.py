"""A prompt that will not fit the model's window, known before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._verdict import Severity, Verdict

#: How far a prompt may be beyond the window before it is stopped: a projection from what the provider counted for the turn
#: before is good to a few per cent, an estimate from characters alone to a half.
_MEASURED_SLACK_RATIO = 1.02
_ESTIMATED_SLACK_RATIO = 1.5
#: How providers refuse a prompt that is too long (among other mistakes of a request).
_TOO_LONG_STATUSES = frozenset({400, 413})


@dataclass(frozen=True, slots=True)
class Overflow(TurnDetector):
    """The projected prompt and what is reserved for the answer, against the model's window.

    Attributes:
        warn_ratio: share of the window that is announced.
        window_tokens: windows by model, before those of the price list: a local server's own, for example.
    """

    warn_ratio: float = 0.9
    window_tokens: Mapping[str, int] = field(default_factory=dict)
    rule: str = "overflow"

    def quiet_tokens(self, turn: Turn) -> float:
        """What is far below the window fits."""
        window = turn.window_tokens(self.window_tokens)
        return inf if window is None else self.warn_ratio * window

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Stop what will not fit; a model whose window is unknown is not judged."""
        needed, window = turn.tokens + turn.answer_tokens, turn.window_tokens(self.window_tokens)
        if window is None or needed < self.warn_ratio * window or not turn.is_chat:
            return None
        if turn.has_media or is_disproved(window, turn.previous) or (needed <= window and turns.run.is_said(self.rule)):
            return None
        slack = _MEASURED_SLACK_RATIO if turn.is_measured else _ESTIMATED_SLACK_RATIO
        if turn.previous is not None and turn.previous.status in _TOO_LONG_STATUSES:
            slack = 1.0  # the provider has just said so itself
        is_over = needed > slack * window
        says = "do not fit" if is_over else f"are {needed / window:.0%} of"
        evidence = (
            f"the prompt of about {turn.tokens:,} tokens ({turn.message_count} messages) and {turn.answer_tokens:,} reserved "
            f"for the answer {says} the {window:,} of {turn.model}"
        )
        figures = {"prompt_tokens": turn.tokens, "answer_tokens": turn.answer_tokens, "window_tokens": window}
        severity = Severity.STOP if is_over else Severity.WARN
        return Verdict(rule=self.rule, severity=severity, evidence=evidence, repeat_count=1, figures=figures)


def is_disproved(window_tokens: int, was: Turn | None) -> bool:
    """Whether the model has answered a prompt beyond this window: then the name stands for another model than the list thinks."""
    return was is not None and was.is_answered and was.counted_tokens is not None and was.counted_tokens > window_tokens
