"""The level of cost per session, in blocks of finished sessions: a CUSUM of block medians against older ones.

Page (1954), one-sided, on the log scale, with each block's deviation clipped so that no single block decides. The reference
is at least a week older than what is judged, else a slow drift would teach its own baseline.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from runguard_core.anomalies._rules import WatchRules
from runguard_core.anomalies._spent import DAY_SECONDS
from runguard_core.anomalies._window import Window

BLOCK_COUNT = 10
_MIN_REFERENCE = 20
_LAG_DAYS = 7
_CLIP = 3.0
_MAX_RECENT = 400
#: The sum goes no further above its bound than this, so that the end of a drift is seen soon.
_CAP_RATIO = 1.25
_FLOOR = 0.05


class Block(NamedTuple):
    """Ten finished sessions: when the last one ended, the median of their log costs, and what they cost in all."""

    at_seconds: float
    middle: float
    nanos: int


class Drift:
    """One feature and agent. `is_out` while the level stands out; `since_seconds` is when it began to move."""

    __slots__ = (
        "_block", "_recent", "_reference", "_rules", "_sum", "excess_nanos", "expected_nanos", "is_out", "seen_nanos",
        "since_seconds",
    )  # fmt: skip

    def __init__(self, rules: WatchRules) -> None:
        """Nothing seen yet."""
        self._rules = rules
        self._block: list[int] = []
        self._recent: deque[Block] = deque(maxlen=_MAX_RECENT)
        self._reference = Window(200)
        self._sum = 0.0
        self.since_seconds = 0.0
        self.is_out = False
        self.excess_nanos = self.expected_nanos = self.seen_nanos = 0

    def add(self, at_seconds: float, nanos: int) -> bool:
        """A session has finished; whether the level stands out now."""
        if nanos > 0:
            self._block.append(nanos)
        if len(self._block) >= BLOCK_COUNT:
            costs = sorted(self._block)
            self._block = []
            half = len(costs) // 2
            middle = (math.log(costs[half - 1]) + math.log(costs[half])) / 2
            self._judge(Block(at_seconds, middle, sum(costs)))
        return self.is_out

    def adopt(self) -> None:
        """The present level is the normal one from now on."""
        self._reference.clear()
        for block in self._recent:
            self._reference.add(block.middle)
        self._recent.clear()
        self._sum, self.is_out, self.excess_nanos = 0.0, False, 0

    def _judge(self, block: Block) -> None:
        self._age(block.at_seconds)
        reference, limits = self._reference, self._rules.thresholds
        self._recent.append(block)
        if len(reference) < _MIN_REFERENCE:
            return
        usual = reference.median
        deviation = (block.middle - usual) / reference.spread(_FLOOR)
        if self._sum == 0.0:
            self.since_seconds, self.excess_nanos = block.at_seconds, 0
        bound = self._rules.deviations(limits.drift_sum)
        self._sum = min(max(0.0, self._sum + max(-_CLIP, min(_CLIP, deviation)) - limits.drift_allowance), _CAP_RATIO * bound)
        self.excess_nanos += round(block.nanos * (1 - math.exp(min(usual - block.middle, 0.0)))) if self._sum else 0
        latest = sorted([one.middle for one in list(self._recent)[-5:]])
        level = latest[len(latest) // 2]
        self.expected_nanos, self.seen_nanos = round(math.exp(usual)), round(math.exp(level))
        if self._sum > bound and level - usual >= math.log(limits.drift_ratio):
            self.is_out = True
        elif self._sum < bound / 2 and self.is_out:
            self.is_out = False
            kept = [one for one in self._recent if one.at_seconds < self.since_seconds]
            self._recent = deque(kept, maxlen=_MAX_RECENT)

    def _age(self, at_seconds: float) -> None:
        """Blocks of a week ago join the reference; those of a rise do not."""
        while self._recent and self._recent[0].at_seconds < at_seconds - _LAG_DAYS * DAY_SECONDS:
            if self.is_out:
                break
            self._reference.add(self._recent.popleft().middle)
