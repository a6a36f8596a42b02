"""Answers in a row that no tool and no person brought anything new between: a stretch in which the model hears only itself."""

from __future__ import annotations

from runguard_core.calls import PromptPart
from runguard_core.detectors._turn import Turn

#: Different answers of a stretch that are remembered.
_MAX_MARKS = 16
#: A shorter answer to somebody who asks again is a label ("yes", "spam"), and equal labels are no sign of anything.
_LABEL_CHARS = 20
#: By so many characters an answer's size in the next prompt may differ from what was read of it: white space, framing.
_SLACK_CHARS = 8


class Stretch:
    """One strand's latest stretch. A prompt continues it when the latest answer is all that the model's share has grown by, and
    the user's share has grown by as much as the time before (a driver that says "Continue."), or not at all. So drafts of one
    prompt, a batch of questions with prompts of their own, and a person's new words each begin anew.

    Attributes:
        mark: the latest answer's digest, None where it says nothing (no text at hand, a label).
        answer_chars: its size; user_chars: what the user's share grew by from answer to answer, None before the second one.
        same_count: how many answers in a row were the latest one, word for word.
        known_count: how many in a row had been given before in the stretch; idle_count: all answers of it.
    """

    __slots__ = (
        "_longest", "_marks", "_order", "_own", "_shortest", "_user", "answer_chars", "idle_count", "known_count", "mark",
        "same_count", "user_chars",
    )  # fmt: skip

    def __init__(self) -> None:
        """Empty."""
        self._order = self._own = self._user = self._longest = self.answer_chars = 0
        self._shortest = 1  # which is more than the longest: no prompt continues it
        self.same_count = self.known_count = self.idle_count = 0
        self.mark: str | None = None
        self.user_chars: int | None = None
        self._marks: dict[str, None] = {}

    def goes_on(self, turn: Turn) -> bool:
        """Whether a prompt holds nothing new but the latest answer, and what is said to every answer."""
        return self._holds(turn, own_chars(turn.parts))

    def _holds(self, turn: Turn, own: int) -> bool:
        if turn.after_tool or not self._shortest <= own - self._own <= self._longest:
            return False
        asked = turn.user_chars - self._user
        return asked >= 0 if self.user_chars is None else asked == self.user_chars

    def hear(self, turn: Turn) -> None:
        """An answer that asks for no tool."""
        if self._order == turn.order:
            return
        mark, own, marks = turn.answer_mark, own_chars(turn.parts), self._marks
        chars = turn.text_chars or turn.answer_chars
        if self._holds(turn, own):
            asked = self.user_chars = turn.user_chars - self._user
            if asked and chars < _LABEL_CHARS:
                mark = None
            self.same_count = self.same_count + 1 if mark is not None and mark == self.mark else 1
            self.known_count = self.known_count + 1 if mark in marks else 0
            self.idle_count += 1
            if len(marks) >= _MAX_MARKS and mark not in marks:
                del marks[next(iter(marks))]
        else:
            self.same_count, self.known_count, self.idle_count, self.user_chars = 1, 0, 1, None
            marks.clear()
        if mark is not None:
            marks[mark] = None
        self._order, self.mark, self.answer_chars, self._own, self._user = turn.order, mark, chars, own, turn.user_chars
        self._shortest = turn.text_chars - _SLACK_CHARS if turn.text_chars > _SLACK_CHARS else 1
        self._longest = turn.answer_chars + _SLACK_CHARS if chars else 0  # 0: of unknown size, no prompt is known to hold it


def own_chars(parts: tuple[PromptPart, ...]) -> int:
    """Characters of a prompt that are the model's own."""
    chars = 0
    for part in parts:
        if part.origin == "assistant":
            chars += part.chars
    return chars
