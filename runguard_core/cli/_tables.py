"""Tables that fit their terminal: what can be spared is left out before what matters is folded letter by letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: A cell of names is not asked to be wider than this; longer ones are folded.
_NAME_CHARS = 40
_GAP_CHARS = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        header: its title.
        justify: numbers to the right.
        folds: names and sentences may take several lines; figures never do.
        spare: left out where the table is too wide, the highest first; 0 stays.
    """

    header: str
    justify: Literal["left", "right"] = "left"
    folds: bool = False
    spare: int = 0


def figure(header: str, spare: int = 0) -> Column:
    """A column of numbers."""
    return Column(header, "right", spare=spare)


def name(header: str, spare: int = 0) -> Column:
    """A column of names."""
    return Column(header, folds=True, spare=spare)


def print_table(
    console: Console, title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, has_total: bool = False
) -> None:
    """Print rows of cells (markup), as many columns of them as fit; what is left out is named below.

    Args:
        console: where. title: above it. columns, rows: as many cells a row as columns.
        has_total: the last row is the sum.
    """
    least = [_least_chars(column, [row[index] for row in rows]) for index, column in enumerate(columns)]
    kept = list(range(len(columns)))
    while sum(least[index] for index in kept) + _GAP_CHARS * (len(kept) - 1) > console.width:
        spared = max(kept, key=lambda index: columns[index].spare)
        if not columns[spared].spare:
            break
        kept.remove(spared)
    console.print(_table(title, columns, rows, kept, has_total=has_total))
    left_out = ", ".join(column.header for index, column in enumerate(columns) if index not in kept and column.header)
    if left_out:
        console.print(f"[dim]too narrow for: {left_out}[/]")


def _least_chars(column: Column, cells: Sequence[str]) -> int:
    """How narrow a column may be: figures stay whole, of names the longest word does."""
    texts = [column.header, *(Text.from_markup(cell).plain for cell in cells)]
    if not column.folds:
        return max(cell_len(text) for text in texts)
    return min(_NAME_CHARS, max((cell_len(word) for text in texts for word in text.split()), default=0))


def _table(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], kept: Sequence[int], *, has_total: bool
) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in (columns[index] for index in kept):
        table.add_column(
            column.header, justify=column.justify, no_wrap=not column.folds, overflow="fold",
            max_width=_NAME_CHARS if column.folds else None,
        )  # fmt: skip
    for number, row in enumerate(rows, 1):
        if has_total and number == len(rows):
            table.add_section()
        table.add_row(*(row[index] for index in kept))
    return table
