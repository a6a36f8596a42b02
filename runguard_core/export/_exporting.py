"""`export_table`: what is new in a table, into a folder by day; every file is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from runguard_core.errors import ExportError
from runguard_core.export._files import written
from runguard_core.export._formats import Format, check_format, writer
from runguard_core.export._sources import Mark, Source, Span, Tell
from runguard_core.export._table import Row, Table
from runguard_core.export._watermark import SCHEMA_NAME, Watermark, check_not_ahead, read_watermark

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a run did.

    Attributes:
        files: written now, in order; row_count: rows in them.
        part_count: parts that were new or had changed; unchanged_count: parts that were as they had been.
        missing_count: calls that the ledger counts and has no rows of any more (dropped after their time).
        revision: of the rows written now.
    """

    files: tuple[Path, ...]
    row_count: int
    part_count: int
    unchanged_count: int
    missing_count: int
    revision: int


def export_table(
    source: Source, folder: Path, format_: Format, *, ledger: str, span: Span, at: datetime, columns: Sequence[str] | None = None,
    tell: Tell | None = None,
) -> Exported:  # fmt: skip
    """Write what is new or has changed since the last run into `folder/day=YYYY-MM-DD/part-REVISION.FORMAT`.

    Interrupted anywhere it may be run again: a file that has its name is whole, and rows that come twice have one id, of which
    the highest revision holds.

    Args:
        source: of which table. ledger: its URL, which the folder remembers. at: now (UTC), from which the revision is made.
        columns: some of the table's; all when left out.
        tell: told after each day of how many rows, and of how many in all.

    Raises:
        ExportError: no such column; the folder cannot be written or holds something else; it is ahead of the ledger.
        StoreError: the ledger cannot be read.
    """
    table = source.table.only(columns)
    check_format(format_)
    if folder.exists() and not folder.is_dir():
        raise ExportError(str(folder), "is a file", "name a folder: its files are laid out by day")
    watermark = read_watermark(folder, _about(table, format_, ledger, span))
    marks = source.marks()
    check_not_ahead(folder, watermark, marks, covers=span.covers)
    changed = [part for part, mark in marks.items() if watermark.parts.get(part) != mark]
    watermark.revision = max((at - _EPOCH) // _MICROSECOND, watermark.revision + 1)
    run = _Run(source, table, folder, format_, watermark, marks)
    if changed:
        run.write_schema()
    total = sum(marks[part].count for part in changed)
    for day, parts in groupby(changed, key=lambda part: part[:10]):
        run.write_day(day, list(parts))
        if tell is not None:
            tell(min(run.row_count + run.missing_count, total), total)
    return Exported(
        files=tuple(run.files), row_count=run.row_count, part_count=len(changed), unchanged_count=len(marks) - len(changed),
        missing_count=run.missing_count, revision=watermark.revision,
    )  # fmt: skip


def _about(table: Table, format_: Format, ledger: str, span: Span) -> Mapping[str, Any]:
    return {
        "table": table.name, "version": table.version, "format": format_.value, "ledger": ledger, "app": span.app,
        "columns": [column.name for column in table.all_columns],
    }  # fmt: skip


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class _Run:
    """One run, day by day: first the day's file, then the watermark that says so."""

    def __init__(
        self, source: Source, table: Table, folder: Path, format_: Format, watermark: Watermark, marks: Mapping[str, Mark]
    ) -> None:
        self._source, self._table, self._folder, self._format = source, table, folder, format_
        self._watermark, self._marks = watermark, marks
        known = {column.name: place for place, column in enumerate(source.table.columns, 1)}
        self._places = [known[column.name] for column in table.columns]
        self.files: list[Path] = []
        self.row_count = self.missing_count = 0

    def write_schema(self) -> None:
        with written(self._folder / SCHEMA_NAME) as file:
            file.write(json.dumps(self._table.document(), indent=2).encode())

    def write_day(self, day: str, parts: Sequence[str]) -> None:
        """Rows of the day's parts into a file of its own; no file where there are none."""
        path = self._folder / f"day={day}" / f"part-{self._watermark.revision}.{self._format.value}"
        lots = (lot for lot in self._source.rows(day, parts) if lot)
        first, count = next(lots, None), 0
        if first is not None:
            with written(path) as file:
                out = writer(self._format, file, self._table.all_columns, self._marks_of_file())
                for lot in chain([first], lots):
                    out.write([self._cut(row) for row in lot])
                    count += len(lot)
                out.close()
            self.files.append(path)
        self.row_count += count
        if self._source.is_counted:
            self.missing_count += max(0, sum(self._marks[part].count for part in parts) - count)
        self._watermark.parts.update({part: self._marks[part] for part in parts})
        self._watermark.save(self._folder)

    def _cut(self, row: Row) -> Row:
        """The columns that are wanted, with the revision."""
        return (row[0], self._watermark.revision, *[row[place] for place in self._places])

    def _marks_of_file(self) -> dict[str, str]:
        return {
            "runguard.schema": f"{self._table.name}/{self._table.version}", "runguard.ledger": self._watermark.about["ledger"],
            "runguard.revision": str(self._watermark.revision),
        }  # fmt: skip
