"""How much two calls ask for the same thing: the words that their arguments' values share."""

from __future__ import annotations

import re

from runguard_core.detectors._volatile import steady

#: Characters of the arguments that are compared.
SKETCH_CHARS = 1000
#: Words of values; a word before `":` is a key, which all calls of a tool share.
_WORD = re.compile(r"\w+(?!\w*\":)")
#: Words that change when a question is only put otherwise.
_LITTLE = frozenset(
    ["a", "an", "the", "of", "on", "in", "at", "by", "for", "to", "and", "or", "is", "are", "was", "were", "do", "does", "did",
     "what", "when", "where", "which", "who", "how", "with", "about", "from", "s"]
)  # fmt: skip


def likeness(one: str, other: str) -> float:
    """Share of words in common, 0 to 1, of two sketches (canonical arguments); 1 where both hold the same words.

    Case, order, punctuation, numbers written as text, ids and time stamps make no difference.
    """
    left, right = _words(one), _words(other)
    if not left and not right:
        return 1.0
    return len(left & right) / len(left | right)


def _words(sketch: str) -> frozenset[str]:
    return frozenset(_WORD.findall(steady(sketch).lower())) - _LITTLE
