"""Texts without what changes by itself: UUIDs, time stamps, seconds since 1970, durations, long hexadecimal ids."""

from __future__ import annotations

import re

from runguard_core.detectors._canonical import squeezed

#: One pass. It begins with a character, and not with an assertion, because then the search skips all others in C.
_VOLATILE = re.compile(
    r"[0-9a-fA-F](?<!\w.)(?:"
    r"[0-9a-fA-F]{7}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\b"  # a UUID
    r"|(?<=\d)(?:"
    r"\d{3}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"  # a date, a time stamp
    r"|\d:\d\d:\d\d(?:[.,]\d+)?\b"  # a time
    r"|(?<=1)[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?\b"  # since 1970, in s, ms, us or ns
    r"|\d*(?:\.\d+)?\s?(?:[num\u00b5]?s|sec|[Ss]econds?|[Mm]inutes?|[NUM]?S|SEC)\b)"  # a duration
    r"|(?:(?<=0)x)?(?=[a-fA-F]*\d|(?<=\d))(?=\d*[a-fA-F]|(?<=[a-fA-F]))[0-9a-fA-F]{11,64}\b"  # letters and digits: an id
    r")"
)
_DIGIT = re.compile(r"[0-9]")


def steady(text: str) -> str:
    """The text with `~` for what is volatile, white space folded."""
    return squeezed(_VOLATILE.sub("~", text) if _DIGIT.search(text) else text)
