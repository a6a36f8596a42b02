"""Token sizes like those of a production trace: two log-normals a column, fitted by `python benchmarks/token_sizes.py`.

The trace is Azure's public LLM inference trace of 2023 (CC-BY-4.0, Azure/AzurePublicDataset); nothing of it is here but these
numbers. Fit by expectation maximisation on the logarithms, cut off at the largest size seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Sizes:
    """A mixture of two log-normals, in tokens.

    Attributes:
        share: of the first one; middle, spread: mean and standard deviation of its logarithm.
        other_middle, other_spread: of the second one.
        most_tokens: the cut-off.
    """

    share: float
    middle: float
    spread: float
    other_middle: float
    other_spread: float
    most_tokens: int

    def draw(self, dice: Random) -> int:
        """One size, at least 1."""
        first = dice.random() < self.share
        middle, spread = (self.middle, self.spread) if first else (self.other_middle, self.other_spread)
        return max(1, min(self.most_tokens, round(math.exp(dice.gauss(middle, spread)))))


CODE_PROMPT = Sizes(0.305, 5.528, 1.278, 7.642, 0.733, 7437)
CODE_ANSWER = Sizes(0.682, 2.369, 0.385, 3.618, 0.909, 1899)
CHAT_PROMPT = Sizes(0.012, 3.043, 0.727, 6.759, 0.879, 14050)
CHAT_ANSWER = Sizes(0.689, 4.609, 0.769, 6.006, 0.05, 1000)
