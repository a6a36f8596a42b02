"""A page of a review on a terminal."""

from __future__ import annotations

import re

from rich.console import Console
from rich.padding import Padding

from runguard_core.cli._tables import Column as TableColumn
from runguard_core.cli._tables import print_table
from runguard_core.cli._text import shown
from runguard_core.finops.reviews import Cell, Column, Grid, Page, Point, Points, blocks_of

_COLOURS = {"": "", "good": "green", "warn": "yellow", "bad": "red", "quiet": "dim"}
_CODE = re.compile(r"`([^`]*)`")


def print_page(console: Console, page: Page) -> None:
    """The page, as wide as the console."""
    console.print(f"[bold]{shown(page.title)}[/]")
    for point in page.lead:
        console.print(_toned(shown(point.head), point.tone))
    for block in page.blocks:
        console.print()
        if isinstance(block, Grid):
            _print_grid(console, block)
        else:
            _print_points(console, block)
    if page.rules:
        console.print()
    for rule in page.rules:
        console.print(f"[dim]{shown(rule)}[/]")


def _print_grid(console: Console, grid: Grid) -> None:
    columns = [_column(column) for column in grid.columns]
    rows = [[_cell(cell) for cell in row] for row in grid.rows]
    print_table(console, grid.title, columns, rows, has_total=grid.has_total)
    if grid.note:
        console.print(f"[dim]{shown(grid.note)}[/]")


def _column(column: Column) -> TableColumn:
    return TableColumn(column.header, "right" if column.is_figure else "left", column.folds, column.spare)


def _cell(cell: Cell) -> str:
    return _toned(" ".join(part for part in (shown(cell.text), blocks_of(cell.line)) if part), cell.tone)


def _print_points(console: Console, block: Points) -> None:
    console.print(f"[italic]{shown(block.title)}[/]")
    for point in block.points:
        _print_point(console, point)
    if not block.points:
        console.print(f"  [dim]{_said(block.empty)}[/]")


def _print_point(console: Console, point: Point) -> None:
    console.print(Padding(f"[bold]{_toned(shown(point.head), point.tone)}[/]", (0, 0, 0, 2)))
    if point.text:
        console.print(Padding(_said(point.text), (0, 0, 0, 6)))


def _said(text: str) -> str:
    """A sentence; what stands between backticks is a command."""
    return _CODE.sub(r"[cyan]\1[/]", shown(text))


def _toned(text: str, tone: str) -> str:
    return f"[{_COLOURS[tone]}]{text}[/]" if text and _COLOURS[tone] else text
