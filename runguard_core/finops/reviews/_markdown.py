"""A page of a review as Markdown."""

from __future__ import annotations

import re

from runguard_core.finops.reviews._page import Block, Cell, Grid, Page, Point, Points
from runguard_core.finops.reviews._pictures import blocks_of

_SPECIAL = re.compile(r"([\\*_\[\]<>|#])")
_CODE = re.compile(r"(`[^`]*`)")


def markdown(page: Page) -> str:
    """The page; names and sentences are escaped, commands between backticks stay as they are."""
    parts = [f"# {_safe(page.title)}", "\n".join(f"- {_safe(point.head)}" for point in page.lead)]
    parts += [_block(block) for block in page.blocks]
    if page.rules:
        parts.append("## How this is worked out\n\n" + "\n".join(f"- {_safe(rule)}" for rule in page.rules))
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    return _grid(block) if isinstance(block, Grid) else _points(block)


def _grid(grid: Grid) -> str:
    head = "| " + " | ".join(column.header for column in grid.columns) + " |"
    line = "|" + "|".join("---:" if column.is_figure else "---" for column in grid.columns) + "|"
    rows = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in grid.rows]
    note = f"\n\n{_safe(grid.note)}" if grid.note else ""
    return "\n".join([f"## {_safe(grid.title)}\n", head, line, *rows]) + note


def _cell(cell: Cell) -> str:
    text = " ".join(part for part in (_safe(cell.text), blocks_of(cell.line)) if part)
    return f"**{text}**" if cell.tone == "bad" and text else text


def _points(points: Points) -> str:
    lines = [_point(point) for point in points.points] or [_safe(points.empty)]
    return f"## {_safe(points.title)}\n\n" + "\n".join(lines)


def _point(point: Point) -> str:
    return f"- **{_safe(point.head)}** {_safe(point.text)}".rstrip() if point.text else f"- {_safe(point.head)}"


def _safe(text: str) -> str:
    """Text of others without markup of its own, on one line."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(part if number % 2 else _SPECIAL.sub(r"\\\1", part) for number, part in enumerate(parts))
