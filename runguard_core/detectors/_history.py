"""The bounded window of an agent instance's tool calls, with what the detectors need kept up to date.

For every period p up to eight the history knows how many of the latest calls equal the ones p earlier, without a gap;
for every call its latest answer. So a verdict costs a few comparisons however long the run is.
"""

from __future__ import annotations

from collections import deque
from typing import Any, TypeVar

from runguard_core.detectors._answer import Answer
from runguard_core.detectors._step import Ending, Step

V = TypeVar("V")
MAX_PERIOD = 8
#: Steps kept. Streaks are counted past it; outcomes are compared within it.
MAX_STEPS = 128
#: Different calls, answers and tools remembered, each; the oldest are forgotten.
MAX_KNOWN = 256
#: The sketches of so many steps are kept.
MAX_SKETCHES = 4
#: Calls looked back on for signs that a run is in trouble already.
TROUBLE_STEPS = 8
_PERIODS = tuple(range(1, MAX_PERIOD + 1))
#: Answers that say nothing new by their nature: repeating them is no sign of standing still.
NEUTRAL = frozenset({Answer.DONE, Answer.EMPTY, Answer.WAITING})


class ToolPast:
    """The running streak of one tool's equal failures."""

    __slots__ = ("failure", "failure_count", "is_told")

    def __init__(self) -> None:
        """Nothing yet."""
        self.failure: str | None = None
        self.failure_count, self.is_told = 0, False


class History:
    """The latest steps and what is counted over them. Every number ends at the latest call.

    Attributes:
        step_count: calls begun.
        wasted_count: calls that asked again and were answered the same.
        stale_count: calls in a row that were not new and whose answer was not new.
        is_reporting: whether any result was ever reported; without one, "no result" says nothing about a call.
    """

    __slots__ = (
        "_answers",
        "_calls",
        "_empty_count",
        "_matched",
        "_recent",
        "_tools",
        "is_reporting",
        "stale_count",
        "step_count",
        "wasted_count",
    )

    def __init__(self) -> None:
        """Empty."""
        self._recent: deque[Step] = deque(maxlen=MAX_STEPS)
        self._matched = [0] * (MAX_PERIOD + 1)
        self._calls: dict[str, list[Any]] = {}
        self._answers: dict[str, None] = {}
        self._tools: dict[str, ToolPast] = {}
        self.is_reporting = False
        self._empty_count = self.step_count = self.wasted_count = self.stale_count = 0

    # -- asking ------------------------------------------------------------------------------------------------

    def back(self, distance: int) -> Step | None:
        """The step `distance` before the next one (1 is the latest); None beyond the window."""
        return self._recent[-distance] if 0 < distance <= len(self._recent) else None

    def latest(self, count: int) -> list[Step]:
        """The latest steps, in order; fewer where the window holds fewer."""
        recent = self._recent
        return [recent[-distance] for distance in range(min(count, len(recent)), 0, -1)]

    def is_known(self, signature: str) -> bool:
        """Whether this call was made before, as far as remembered."""
        return signature in self._calls

    def is_prompted(self, step: Step) -> bool:
        """Whether a person's prompt lies between the step before and this one, the latest or the candidate."""
        before = self.back(2) if step is self.back(1) else self.back(1)
        return before is not None and step.is_prompted and before.loop != step.loop

    def changed_count(self, signature: str) -> int:
        """How often this call was answered otherwise than the time before."""
        known = self._calls.get(signature)
        return 0 if known is None else int(known[2])

    def matched(self, period: int) -> int:
        """How many of the latest calls equal the one `period` earlier, without a gap."""
        return self._matched[period]

    def would_match(self, period: int, signature: str) -> int:
        """The same, if a call of this signature came next."""
        recent = self._recent
        if period > len(recent) or recent[-period].signature != signature:
            return 0
        return self._matched[period] + 1

    def tool(self, name: str) -> ToolPast | None:
        """What is known of a tool."""
        return self._tools.get(name)

    def trouble_before(self, count: int) -> int:
        """How many of the `TROUBLE_STEPS` calls before the latest `count` failed or were wasted."""
        steps = (self.back(count + distance) for distance in range(1, TROUBLE_STEPS + 1))
        return sum(step is not None and step.is_trouble for step in steps)

    def outcomes_agree(self, period: int, count: int) -> bool | None:
        """Whether the latest `count` outcomes equal those `period` earlier; None when one was never reported.

        An outcome still awaited is no evidence: False. Beyond the window only what is in it is compared.
        """
        recent, unknown = self._recent, False
        count = min(count, MAX_STEPS - period)
        if count + period > len(recent):
            return False
        kept = recent[-1].agreed if count > 0 else None
        if kept is not None and kept.get(period, 0) >= count:
            return True
        for index in range(1, count + 1):
            late, early = recent[-index], recent[-index - period]
            if not (late.is_finished and early.is_finished):
                return False
            if late.mark is None or early.mark is None:
                unknown = True
            elif late.mark != early.mark:
                return False
        return None if unknown else True

    def agreed(self, period: int, limit: int) -> int:
        """How many of the latest outcomes, `limit` at most, are known and equal those `period` earlier, without a gap.

        Counts are kept with the steps, so asking after every call looks at each step once. Agreement all through the
        window is taken to go on before it.
        """
        recent, count, new = self._recent, 0, []
        end = min(limit, len(recent) - period)
        for index in range(1, end + 1):
            late, early = recent[-index], recent[-index - period]
            if late.agreed is not None and period in late.agreed:
                count = late.agreed[period]
                break
            if late.mark is None or late.mark != early.mark:
                break
            new.append(late)
        else:
            count = limit - end if end + period == MAX_STEPS else 0
        for step in reversed(new):
            count += 1
            if step.agreed is None:
                step.agreed = {}
            step.agreed[period] = count
        return min(count, limit)

    # -- telling -----------------------------------------------------------------------------------------------

    def begin(self, step: Step) -> None:
        """Add a call that starts now."""
        recent, signature = self._recent, step.signature
        if signature in self._calls:
            length, matched = len(recent), self._matched
            for period in _PERIODS:
                is_equal = period <= length and recent[-period].signature == signature
                matched[period] = matched[period] + 1 if is_equal else 0
        else:
            self._matched = [0] * (MAX_PERIOD + 1)
            _remember(self._calls, signature, [None, 0, 0])
            step.is_new = True
        if len(recent) > MAX_SKETCHES:
            recent[-1 - MAX_SKETCHES].sketch, recent[-1 - MAX_SKETCHES].words = "", None
        recent.append(step)
        self.step_count += 1

    def finish(self, step: Step, ending: Ending) -> None:
        """A call has ended; the order of ends may differ from the order of starts."""
        step.result, step.error, step.answer = ending.result, ending.error, ending.answer
        step.failure, step.is_finished = ending.failure or ending.error, True
        recent = self._recent
        before = recent[-2] if len(recent) > 1 and recent[-1] is step else None
        past = self._tools.get(step.tool)
        if past is None:
            past = _remember(self._tools, step.tool, ToolPast())
        self._count_answers(step, before)
        self._count_failures(step, before, past)
        self._count_stale(step, before)

    def _count_answers(self, step: Step, before: Step | None) -> None:
        mark = step.error or step.result
        step.same_answer_count = 1
        if mark is None:
            return
        self.is_reporting = True
        if before is not None and before.mark == mark and before.tool == step.tool:
            step.same_answer_count = before.same_answer_count + counts(before, step)
        self._empty_count += 1 if before is None else counts(before, step)
        if step.answer is not Answer.EMPTY:
            self._empty_count = 0
        step.empty_count = self._empty_count
        known = self._calls.get(step.signature)
        if known is None:
            known = _remember(self._calls, step.signature, [None, 0, 0])
        if known[0] == mark:
            known[1] += 1
            if step.answer not in NEUTRAL and not step.is_poll:
                self.wasted_count += 1
        else:
            known[2] += known[0] is not None
            known[0], known[1] = mark, 1
        step.equal_call_count, step.wasted_count = known[1], self.wasted_count

    def _count_failures(self, step: Step, before: Step | None, past: ToolPast) -> None:
        if step.failure is None:
            past.failure, past.failure_count = None, 0
            return
        # what is only told must come in a row: tests that fail between two edits are work
        is_streak = step.error is not None or (before is not None and before.tool == step.tool)
        if past.failure == step.failure and is_streak:
            past.failure_count += 1 if step.error is not None or before is None else counts(before, step)
        else:
            past.failure, past.failure_count, past.is_told = step.failure, 1, step.error is None
        step.same_failure_count = past.failure_count

    def _count_stale(self, step: Step, before: Step | None) -> None:
        mark = step.mark
        is_new_answer = mark is not None and mark not in self._answers
        if is_new_answer and mark is not None:
            _remember(self._answers, mark, None)
        if step.is_new or is_new_answer:
            self.stale_count = 0
        elif not (step.answer in NEUTRAL or step.is_poll or (step.answer is None and mark is not None)):
            self.stale_count += 1 if before is None else counts(before, step)
        step.stale_count = self.stale_count


def counts(before: Step, step: Step) -> int:
    """1 for a call made after the one before was answered; 0 within one turn, where both were asked at once."""
    return 0 if step.turn and step.turn == before.turn else 1


def _remember(known: dict[str, V], key: str, value: V) -> V:
    while len(known) >= MAX_KNOWN:  # more than once only where threads of one agent have put in more than they took out
        try:  # noqa: SIM105  once a call: `suppress` would take half a microsecond
            del known[next(iter(known))]
        except (KeyError, RuntimeError, StopIteration):
            pass  # another thread of the agent has just made room
    known[key] = value
    return value
