"""From rows of a CSV or JSON file to metrics: `date, metric, value`, and where they are told `feature` and `covers`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from runguard_core.attribution import clean
from runguard_core.errors import PolicyError
from runguard_core.finops._calendar import Calendar
from runguard_core.finops.planning._metrics import Covers, Metric, metric_name

_COLUMNS = ("date", "metric", "feature", "value", "covers")
_NEEDED = ("date", "metric", "value")


def read_metrics(text: str, file: str, calendar: Calendar, today: date, *, covers: Covers = Covers.DAY) -> list[Metric]:
    """The rows of a file, in order.

    Args:
        text: CSV with a header, a JSON list of objects, or one JSON object a line. file: its name, for messages.
        calendar: days are its local ones. today: rows of later days are mistakes.
        covers: what a row speaks of that does not say so itself.

    Raises:
        PolicyError: naming the file, the row and the column, and what was expected there.
    """
    rows = list(_json_rows(text, file) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text, file))
    return [_metric(row, f"row {number}", file, calendar, today, covers) for number, row in rows]


def _csv_rows(text: str, file: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    lines = list(csv.reader(text.lstrip("\ufeff").splitlines()))
    if not lines:
        raise PolicyError(file=file, key="(file)", expected=f"expected a header of {', '.join(_NEEDED)}; the file is empty")
    header = [name.strip().lower() for name in lines[0]]
    for number, cells in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise PolicyError(file=file, key=f"row {number}", expected=f"expected {len(header)} cells, got {len(cells)}")
        yield number, {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip() or name in _NEEDED}


def _json_rows(text: str, file: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        if text.lstrip().startswith("["):
            found: Iterable[Any] = json.loads(text, parse_float=Decimal)
        else:
            found = [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise PolicyError(file=file, key="(file)", expected=f"not JSON: {error}") from None
    for number, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise PolicyError(file=file, key=f"row {number}", expected=f"expected an object, got {row!r:.80}")
        yield number, {str(key): value for key, value in row.items() if value is not None}


def _metric(row: Mapping[str, Any], place: str, file: str, calendar: Calendar, today: date, covers: Covers) -> Metric:
    for name in row:
        if name not in _COLUMNS:
            near = get_close_matches(name, _COLUMNS, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_COLUMNS)}"
            raise PolicyError(file=file, key=f"{place}.{name}", expected=f"unknown column; {hint}")
    for name in _NEEDED:
        if str(row.get(name, "")).strip() == "":
            raise PolicyError(file=file, key=f"{place}.{name}", expected="expected a value, there is none")
    span = _covers(row.get("covers", covers), f"{place}.covers", file)
    day = _day(row["date"], f"{place}.date", file)
    if day > today:
        raise PolicyError(file=file, key=f"{place}.date", expected=f"expected a day up to today ({today}), got {day}")
    feature = str(row.get("feature", "")).strip()
    name = metric_name(str(row["metric"]))
    if not name:
        expected = f'expected a name such as "revenue", got {row["metric"]!r:.80}'
        raise PolicyError(file=file, key=f"{place}.metric", expected=expected)
    return Metric(
        name=clean(name), day=calendar.of_kind(span.value, day).first_day, feature=clean(feature) if feature else None,
        value=_number(row["value"], f"{place}.value", file), covers=span,
    )  # fmt: skip


def _covers(value: object, key: str, file: str) -> Covers:
    try:
        return Covers(str(value))
    except ValueError:
        raise PolicyError(file=file, key=key, expected=f"expected day, week or month, got {value!r:.80}") from None


def _day(value: object, key: str, file: str) -> date:
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise PolicyError(file=file, key=key, expected=f"expected a date such as 2026-11-24, got {value!r:.80}") from None


def _number(value: object, key: str, file: str) -> Decimal:
    expected = f"expected a number such as 1234.50, without a unit, got {value!r:.80}"
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise PolicyError(file=file, key=key, expected=expected)
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise PolicyError(file=file, key=key, expected=expected) from None
    if not number.is_finite() or abs(number) >= Decimal(10) ** 18:
        raise PolicyError(file=file, key=key, expected=f"{expected}; it must be finite and below 10**18")
    return number
