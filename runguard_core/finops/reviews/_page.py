"""A page of a review: paragraphs, tables and lists with pictures in their cells; drawn as text, Markdown and HTML alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "good", "warn", "bad", "quiet"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell.

    Attributes:
        text: what it says. tone: how it is coloured.
        line: values over time, oldest first, drawn as a small line beside the text.
        share: drawn as a bar, 0 to 1 and above; None without one.
        note: smaller, below the text; on a terminal left out.
    """

    text: str
    tone: Tone = ""
    line: tuple[int, ...] = ()
    share: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `spare`: left out where a terminal is too narrow, the highest first; 0 stays. `is_figure`: to the right."""

    header: str
    is_figure: bool = False
    spare: int = 0
    folds: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; with `has_total` its last row is the sum. `note` stands below it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    has_total: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A line of a list: what it is about, and what is said of it."""

    head: str
    text: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Points:
    """A list; `empty` is said where it has no lines."""

    title: str
    points: tuple[Point, ...]
    empty: str = ""


Block = Grid | Points


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page.

    Attributes:
        title: above it. lead: the sentences that come first. blocks: in order. rules: how figures are worked out.
    """

    title: str
    lead: tuple[Point, ...]
    blocks: tuple[Block, ...]
    rules: tuple[str, ...] = ()
