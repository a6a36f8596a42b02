"""How much two calls ask for the same thing: the words that the values of their arguments share."""

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


def words_of(sketch: str) -> frozenset[str]:
    """The words of a call's values. Case, order, punctuation, ids, time stamps and numbers written as text make no difference."""
    return frozenset(_WORD.findall(steady(sketch).lower())) - _LITTLE


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of words in common, 0 to 1; 1 where both hold the same words, or none."""
    return len(one & other) / len(one | other) if one or other else 1.0
