"""A model that says the same again, or nothing new, turn after turn, while no tool runs and nobody tells it anything else."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._turn_stretch import Stretch
from runguard_core.detectors._verdict import Severity, Verdict

_IDLE = "idle"


@dataclass(frozen=True, slots=True)
class SameAnswer(TurnDetector):
    """Judged before the next prompt is sent, once that prompt too holds nothing new but the latest answer.

    Attributes:
        warn_after: answers in a row that had been given before since a tool or a person brought something new: announced.
        stop_after: answers in a row that were the same word for word; the next prompt is not sent.
        idle_after: answers in a row without a tool call, by a model that is offered tools and that nobody speaks to: announced.
    """

    warn_after: int = 3
    stop_after: int = 5
    idle_after: int = 12
    rule: str = "same_answer"
    #: It needs the digests of answers.
    reads_answers: ClassVar[bool] = True

    def quiet_tokens(self, turn: Turn) -> float:
        """While tools run nothing is said for the second time."""
        return inf

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Would this prompt get the same answer once more?"""
        stretch = turn.strand.stretch if turn.strand is not None else None
        if stretch is None or stretch.idle_count < 2:
            return None
        is_stop = stretch.same_count >= self.stop_after
        is_known = stretch.known_count >= self.warn_after and not turns.run.is_said(self.rule)
        is_idle = stretch.idle_count >= self.idle_after and turn.has_tools and not stretch.user_chars
        is_idle = is_idle and not turns.run.is_said(self.rule, _IDLE)
        if not (is_stop or is_known or is_idle) or not stretch.goes_on(turn):
            return None
        if is_stop:
            return self._stop(stretch)
        return self._known(stretch) if is_known else self._idle(stretch)

    def after(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Take the answer down; it is judged when the next prompt shows what came of it."""
        if turn.is_answered:
            turns.hear(turn)
        return None

    def _stop(self, stretch: Stretch) -> Verdict:
        count = stretch.same_count
        return Verdict(
            rule=self.rule, severity=Severity.STOP, repeat_count=count, marks=(stretch.mark,) if stretch.mark else (),
            evidence=f"the same answer of {stretch.answer_chars:,} characters came {count} times in a row{_between(stretch)}",
            figures={"answer_chars": stretch.answer_chars, "same_count": count},
        )  # fmt: skip

    def _known(self, stretch: Stretch) -> Verdict:
        count = stretch.known_count
        return Verdict(
            rule=self.rule, severity=Severity.WARN, repeat_count=count,
            evidence=f"the latest {count} answers had all been given word for word before{_between(stretch)}",
            figures={"known_count": count, "answer_count": stretch.idle_count},
        )  # fmt: skip

    def _idle(self, stretch: Stretch) -> Verdict:
        count = stretch.idle_count
        return Verdict(
            rule=self.rule, severity=Severity.WARN, repeat_count=count, topic=_IDLE,
            evidence=f"{count} answers in a row used none of the tools on offer{_between(stretch)}",
            figures={"answer_count": count},
        )  # fmt: skip


def _between(stretch: Stretch) -> str:
    """What lay between the answers, next to nothing."""
    driver = f" and the same {stretch.user_chars:,} characters of a user's message" if stretch.user_chars else ""
    return f": no tool ran in between and each prompt brought nothing but the answer before{driver}"
