"""The bounded window of an agent instance's tool calls, with what the detectors need kept up to date.

For every period p up to eight the history knows how many of the latest calls equal the ones p earlier, without a gap;
so a verdict costs a few comparisons however long the run is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MAX_PERIOD = 8
#: Steps kept. Streaks are counted past it; outcomes are compared within it.
MAX_STEPS = 128


@dataclass(slots=True)
class Step:
    """One tool call: a candidate before admission, then a place in the history.

    Attributes:
        tool: its name; signature: its digest.
        sketch: digests of what its arguments are made of, for likeness; empty where no detector reads it.
        turn: number of the turn that asked for it, 0 when unknown.
        result: mark of the result; error: mark of the failure. Both None while it runs or when nobody said.
        is_empty: whether the result holds nothing.
        is_finished: whether its end is known.
        agreed: per period, how many outcomes up to this one equal those a period earlier, as far as asked.
    """

    tool: str
    signature: str
    sketch: frozenset[int] = frozenset()
    turn: int = 0
    result: str | None = None
    error: str | None = None
    is_empty: bool = False
    is_finished: bool = False
    agreed: dict[int, int] = field(default_factory=dict)

    @property
    def mark(self) -> str | None:
        """What came of it, failure or result; None when unknown."""
        return self.error or self.result


class History:
    """The latest steps; per period, the length of the running match; the running streak of equal failures."""

    __slots__ = ("_matched", "_recent", "error_count", "error_mark", "error_tool", "step_count")

    def __init__(self) -> None:
        """Empty."""
        self._recent: deque[Step] = deque(maxlen=MAX_STEPS)
        self._matched = [0] * (MAX_PERIOD + 1)
        self.step_count = 0
        self.error_tool, self.error_mark, self.error_count = "", "", 0

    def back(self, distance: int) -> Step | None:
        """The step `distance` before the next one (1 is the latest); None beyond the window."""
        return self._recent[-distance] if 0 < distance <= len(self._recent) else None

    def matched(self, period: int) -> int:
        """How many of the latest calls equal the one `period` earlier, without a gap."""
        return self._matched[period]

    def would_match(self, period: int, signature: str) -> int:
        """The same, if a call of this signature came next."""
        recent = self._recent
        if period > len(recent) or recent[-period].signature != signature:
            return 0
        return self._matched[period] + 1

    def outcomes_agree(self, period: int, count: int) -> bool | None:
        """Whether the latest `count` outcomes equal those `period` earlier; None when one was never reported.

        An outcome still awaited is no evidence: False. Beyond the window only what is in it is compared.
        """
        recent, unknown = self._recent, False
        count = min(count, MAX_STEPS - period)
        if count + period > len(recent):
            return False
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
            if period in late.agreed:
                count = late.agreed[period]
                break
            if late.mark is None or late.mark != early.mark:
                break
            new.append(late)
        else:
            count = limit - end if end + period == MAX_STEPS else 0
        for step in reversed(new):
            count += 1
            step.agreed[period] = count
        return min(count, limit)

    def begin(self, step: Step) -> None:
        """Add a call that starts now."""
        for period in range(1, MAX_PERIOD + 1):
            self._matched[period] = self.would_match(period, step.signature)
        self._recent.append(step)
        self.step_count += 1

    def finish(self, step: Step, result: str | None, error: str | None, *, is_empty: bool = False) -> None:
        """A call has ended; the order of ends may differ from the order of starts."""
        step.result, step.error, step.is_empty, step.is_finished = result, error, is_empty, True
        if error is None:
            if step.tool == self.error_tool:
                self.error_tool, self.error_mark, self.error_count = "", "", 0
        elif (step.tool, error) == (self.error_tool, self.error_mark):
            self.error_count += 1
        else:
            self.error_tool, self.error_mark, self.error_count = step.tool, error, 1
