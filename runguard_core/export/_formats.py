"""Rows as CSV, JSON lines and Parquet: three writers with one face, each holding no more than a lot of rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, BinaryIO, Protocol

from runguard_core.errors import ExportError
from runguard_core.export._table import Column, Kind, Row


class Format(StrEnum):
    """How a file is written; also the end of its name."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Writer(Protocol):
    """Writes lots of rows into an open file."""

    def write(self, rows: Sequence[Row]) -> None:
        """Some rows; OSError when there is no room."""
        ...

    def close(self) -> None:
        """What a format has at its end."""
        ...


def writer(format_: Format, file: BinaryIO, columns: Sequence[Column], marks: Mapping[str, str]) -> Writer:
    """A writer for a file.

    Args:
        marks: about the file (schema, ledger), kept in it where the format has a place.

    Raises:
        ExportError: Parquet without pyarrow.
    """
    if format_ is Format.PARQUET:
        return _Parquet(file, columns, marks)
    return _Csv(file, columns) if format_ is Format.CSV else _JsonLines(file, columns)


def check_format(format_: Format) -> None:
    """ExportError: what a format needs is not installed."""
    if format_ is Format.PARQUET:
        pyarrow_parquet()


def pyarrow_parquet() -> Any:
    """pyarrow, with its module for Parquet. ExportError: it is not installed."""
    try:
        import pyarrow.parquet  # noqa: PLC0415  an extra
    except ImportError:
        raise ExportError("Parquet", "needs pyarrow", "pip install 'runguard-core[export]'") from None
    return pyarrow


class _Csv:
    """Header first; nothing for what is not known; lines end with one line feed, or as in a quoted text."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file, self._kinds = file, [column.kind for column in columns]
        self._lines([[column.name for column in columns]])

    def write(self, rows: Sequence[Row]) -> None:
        self._lines([[_text(kind, value) for kind, value in zip(self._kinds, row, strict=True)] for row in rows])

    def _lines(self, rows: Sequence[Sequence[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode("utf-8", "replace"))

    def close(self) -> None:
        """Nothing follows."""


class _JsonLines:
    """One object a line, every column in it."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file, self._columns = file, [(column.name, column.kind) for column in columns]

    def write(self, rows: Sequence[Row]) -> None:
        lines = [
            json.dumps(
                {name: _json(kind, value) for (name, kind), value in zip(self._columns, row, strict=True)}, separators=(",", ":")
            )
            for row in rows
        ]
        self._file.write("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        """Nothing follows."""


class _Parquet:
    """A lot of rows is a row group; compressed with zstd."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column], marks: Mapping[str, str]) -> None:
        pa = pyarrow_parquet()
        types = {
            Kind.TEXT: pa.string(), Kind.INT: pa.int64(), Kind.NANOS: pa.int64(), Kind.USD: pa.decimal128(19, 9),
            Kind.INSTANT: pa.timestamp("us", tz="UTC"), Kind.BOOL: pa.bool_(), Kind.SECONDS: pa.float64(), Kind.JSON: pa.string(),
        }  # fmt: skip
        fields = [pa.field(one.name, types[one.kind], nullable=not one.is_required) for one in columns]
        self._schema = pa.schema(fields, metadata={key.encode(): value.encode() for key, value in marks.items()})
        self._pa, self._texts = pa, [one.kind in {Kind.TEXT, Kind.JSON} for one in columns]
        self._writer = pa.parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        columns = [
            [_whole(value) for value in values] if is_text else values
            for is_text, values in zip(self._texts, zip(*rows, strict=True), strict=True)
        ]
        arrays = [self._pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._writer.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _text(kind: Kind, value: Any) -> str:
    """A cell of CSV."""
    if value is None:
        return ""
    if kind is Kind.INSTANT:
        return instant_text(value)
    if kind is Kind.BOOL:
        return "true" if value else "false"
    return usd_digits(value) if kind is Kind.USD else str(value)


def _json(kind: Kind, value: Any) -> Any:
    """A value of JSON: amounts as texts, so that no reader rounds them."""
    if value is None or kind in {Kind.INT, Kind.BOOL, Kind.SECONDS}:
        return value
    if kind is Kind.JSON:
        return json.loads(value)
    return _whole(value) if kind is Kind.TEXT else _text(kind, value)


def instant_text(at: datetime) -> str:
    """ISO 8601 with microseconds and Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def usd_digits(usd: Decimal) -> str:
    """USD with nine digits behind the point."""
    return f"{usd:.9f}"


def _whole(text: Any) -> Any:
    """A text fit for UTF-8: programs and providers may say halves of characters."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()
