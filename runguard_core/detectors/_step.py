"""One tool call as detectors see it: digests and counts, never content."""

from __future__ import annotations

from dataclasses import dataclass, field

from runguard_core.detectors._answer import Answer

_FAILURES = frozenset({Answer.FAILED, Answer.BUSY})


@dataclass(slots=True, kw_only=True)
class Ending:
    """How a tool call ended; made once a call and not changed (freezing it would cost a microsecond).

    Attributes:
        result: mark of the result; error: mark of the failure that was raised. Both None when nobody said.
        answer: the kind of answer; None when only a digest is left of it.
        failure: mark of a failure that a result's text speaks of.
    """

    result: str | None = None
    error: str | None = None
    answer: Answer | None = None
    failure: str | None = None


@dataclass(slots=True)
class Step:
    """One tool call: a candidate before admission, then a place in the history.

    Attributes:
        tool: its name; signature: its digest.
        sketch: start of its canonical arguments, for likeness; dropped once five more calls have begun, empty where no detector
            reads it.
        turn: number of the turn that asked for it, 0 when unknown.
        loop: number of the tool loop, which a person's prompt opens; is_prompted: whether such prompts can be told from others.
        is_new: the call was not made before.
        is_poll: the policy says that repeating this tool is what it is for.
        is_vague: its arguments were all volatile, so that all its calls look equal.
        is_finished: whether its end is known; the fields that follow are meaningful from then on.
        result: mark of the result; error: mark of the failure that was raised. None when nobody said.
        answer: the kind of answer; failure: mark of a failure, raised or told.
        same_answer_count: calls of this tool in a row, up to this one, with this very answer.
        empty_count: calls in a row, whatever the tool, with an empty answer.
        same_failure_count: failures of this tool like this one without a success of it in between, up to this one.
        equal_call_count: how often this very call has been answered so, without another answer to it in between.
        wasted_count: calls of the run, up to this one, that asked again and were answered the same.
        stale_count: calls in a row, up to this one, that were not new and whose answer was not new.
    """

    tool: str
    signature: str
    sketch: str = ""
    turn: int = 0
    loop: int = 0
    is_prompted: bool = False
    is_new: bool = False
    is_poll: bool = False
    is_vague: bool = False
    is_finished: bool = False
    result: str | None = None
    error: str | None = None
    answer: Answer | None = None
    failure: str | None = None
    same_answer_count: int = 0
    empty_count: int = 0
    same_failure_count: int = 0
    equal_call_count: int = 0
    wasted_count: int = 0
    stale_count: int = 0
    alike_count: int = field(default=0, repr=False)
    near: dict[int, int] | None = field(default=None, repr=False)
    ended: dict[int, int] | None = field(default=None, repr=False)
    words: frozenset[str] | None = field(default=None, repr=False)
    agreed: dict[int, int] | None = field(default=None, repr=False)

    @property
    def mark(self) -> str | None:
        """What came of it, failure or result; None when unknown."""
        return self.error or self.result

    @property
    def is_trouble(self) -> bool:
        """Whether it failed, or asked again and was answered the same."""
        return self.answer in _FAILURES or self.equal_call_count > 1
