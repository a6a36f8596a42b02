"""`export_focus`: a month of the ledger as a bill in the FOCUS format, one file that is whole or not there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any, BinaryIO

from runguard_core.attribution import DIMENSIONS
from runguard_core.errors import ExportError
from runguard_core.export._files import written
from runguard_core.export._focus_bill import BillLine, Pricing, bill_lines
from runguard_core.export._focus_columns import AMOUNT, FOCUS_COLUMNS, TEXT, TIME, VERSION, focus_row, own_column
from runguard_core.export._formats import pyarrow_parquet
from runguard_core.export._sources import Tell, calls_between
from runguard_core.ledger import CallFilter, CallRecord, Store, Total

_DIGITS, _SCALE = 38, 18
_LOT = 10_000
#: What may tell rows apart on top of day, app, feature, team and model.
_BY = DIMENSIONS - {"app", "feature", "team"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusExported:
    """What was written.

    Attributes:
        row_count: lines; nanos: their EffectiveCost, equal to the ledger's month. pending_count: calls of the month in flight,
            which are in no line yet.
    """

    path: Path
    row_count: int
    nanos: int
    pending_count: int


def month_of(text: str) -> tuple[datetime, datetime]:
    """First instant of a month such as "2026-10" and of the next (UTC).

    Raises:
        ExportError: it is none.
    """
    try:
        first = datetime.strptime(text.strip(), "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ExportError("--period", f"expected a month such as 2026-10, got {text!r:.40}") from None
    return first, first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def export_focus(
    store: Store, path: Path, period: str, pricing: Pricing, *, app: str | None = None, by: Sequence[str] = (),
    tell: Tell | None = None,
) -> FocusExported:  # fmt: skip
    """Write a month (UTC, as FOCUS counts billing periods): one row per day, feature, team, model and token class.

    Args:
        path: ends in .csv or .parquet. by: dimensions that tell rows apart on top, each with its x_ column and tag.
        tell: told now and then of how many calls, and of how many in all.

    Raises:
        ExportError: no such month or format; nothing was spent in it; the file cannot be written; the rows do not add up to
            what the ledger keeps as the month's sum.
        StoreError: the ledger cannot be read.
    """
    since, until = month_of(period)
    for name in by:
        if name not in _BY and not name.startswith("tag:"):
            raise ExportError(f"--by {name}", "no dimension of a call", f"known: {', '.join(sorted(_BY))}, tag:KEY")
    if path.suffix not in {".csv", ".parquet"}:
        raise ExportError(str(path), "neither CSV nor Parquet", "end the name in .csv or .parquet")
    if path.suffix == ".parquet":
        pyarrow_parquet()
    where = CallFilter(app=app, since=since, until=until)
    month = store.totals((), where).get((), Total())
    total = month.call_count + month.tool_count
    if not total:
        raise ExportError(f"--period {period}", f"{store.url} has no calls in it")
    seen = _Seen(total, tell)
    lines = list(bill_lines(seen.through(calls_between(store, app, since, until)), pricing, by))
    nanos = sum(line.nanos for line in lines)
    if nanos != month.cost_nanos:
        reason = f"its calls add up to {nanos} nano-USD and the ledger's sums to {month.cost_nanos}"
        raise ExportError(f"--period {period}", reason, "calls were settled meanwhile (run it again) or dropped after their time")
    columns = FOCUS_COLUMNS | {own_column(name): TEXT for name in by}
    with localcontext(prec=_DIGITS), written(path) as file:
        (_write_csv if path.suffix == ".csv" else _write_parquet)(file, columns, _rows(lines, by))
    return FocusExported(path=path, row_count=len(lines), nanos=nanos, pending_count=seen.pending_count)


class _Seen:
    """Counts calls on their way."""

    def __init__(self, total: int, tell: Tell | None) -> None:
        self._total, self._tell, self.pending_count = total, tell, 0

    def through(self, calls: Iterable[CallRecord]) -> Iterator[CallRecord]:
        for number, call in enumerate(calls, 1):
            self.pending_count += call.settlement is None
            if self._tell is not None and number % _LOT == 0:
                self._tell(min(number, self._total), self._total)
            yield call


def _rows(lines: Sequence[BillLine], by: Sequence[str]) -> Iterator[list[list[Any]]]:
    for start in range(0, len(lines), _LOT):
        yield [focus_row(line, by) for line in lines[start : start + _LOT]]


def _write_csv(file: BinaryIO, columns: dict[str, str], lots: Iterable[list[list[Any]]]) -> None:
    kinds = list(columns.values())
    for place, rows in enumerate(lots):
        text = io.StringIO()
        out = csv.writer(text, lineterminator="\n")
        if place == 0:
            out.writerow(columns)
        out.writerows([[_cell(kind, value) for kind, value in zip(kinds, row, strict=True)] for row in rows])
        file.write(text.getvalue().encode("utf-8", "replace"))


def _write_parquet(file: BinaryIO, columns: dict[str, str], lots: Iterable[list[list[Any]]]) -> None:
    pa = pyarrow_parquet()
    types = {TEXT: pa.string(), AMOUNT: pa.decimal128(_DIGITS, _SCALE), TIME: pa.timestamp("us", tz="UTC")}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()], metadata={b"focus.version": VERSION.encode()})
    with pa.parquet.ParquetWriter(file, schema, compression="zstd") as out:
        for rows in lots:
            arrays = [
                pa.array([_fitted(value) for value in values], field.type)
                for values, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            out.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _cell(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if kind == TIME:
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return decimal_text(value) if kind == AMOUNT else str(value)


def decimal_text(value: Decimal) -> str:
    """All digits, at least one behind the point, no exponent: "1234567.0"."""
    text = f"{value.normalize():f}"
    return text if "." in text else f"{text}.0"


def _fitted(value: Any) -> Any:
    """A value that Parquet takes: amounts with as many digits as the column has, whole characters."""
    if isinstance(value, Decimal):
        return value.quantize(Decimal(1).scaleb(-_SCALE), rounding=ROUND_HALF_EVEN)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
