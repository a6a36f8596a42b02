"""Figures and names in the words of a review."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from runguard_core.finops.reviews._limits import Allowed
from runguard_core.finops.reviews._page import Cell, Tone
from runguard_core.money import brief_usd

#: A change within this share of the value before is not coloured.
_LEVEL_RATIO = 0.10


def change_cell(now: int, before: int) -> Cell:
    """A change in per cent; "new" where there was nothing, "" where there still is nothing."""
    if not before:
        return Cell("new" if now else "")
    ratio = now / before - 1
    tone: Tone = "" if abs(ratio) <= _LEVEL_RATIO else "bad" if ratio > 0 else "good"
    return Cell(f"{ratio:+.0%}" if abs(ratio) < 10 else f"x{now / before:.0f}", tone)


def used_cell(nanos: int, of: Allowed | None) -> Cell:
    """The share of what is allowed that was spent."""
    if of is None or not of.nanos:
        return Cell("-", "quiet")
    share = nanos / of.nanos
    return Cell(f"{share:.0%}", "bad" if share > 1 else "warn" if share > 0.85 else "", share=share, note=of.name)


def used_sentence(nanos: int, of: Allowed | None) -> str:
    """The same as the end of a sentence; "" where nothing is allowed."""
    return f"; {nanos / of.nanos:.0%} of {brief_usd(of.nanos)} ({of.name})" if of is not None and of.nanos else ""


def counted(count: int, thing: str, things: str = "") -> str:
    """A number of things: "1 turn", "2,000 turns"."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def joined(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


def short_name(owner: str | None) -> str:
    """An owner as readers know them: an address without its domain; "no owner" where nobody answers."""
    return "no owner" if not owner else owner.split("@", maxsplit=1)[0]


def day_month(day: date) -> str:
    """A date within a year."""
    return f"{day.day} {day:%b}"
