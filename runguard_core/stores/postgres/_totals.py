"""How sums are asked for: whole quarters of an hour from the lines kept beside the calls, the rest from the calls."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from runguard_core.attribution import DIMENSIONS
from runguard_core.ledger import TOTAL_FIELDS, CallFilter, Total, TotalKey, quarter_hour_of
from runguard_core.stores._sqlite_rows import instant_of, micros

_QUARTER_MICROS = 15 * 60 * 1_000_000
#: Dimensions that the kept sums have; the others are those of single sessions, runs and calls.
_KEPT = frozenset({"app", "feature", "team", "owner", "agent", "release", "provider", "kind", "model", "tool", "quarter_hour"})
_SPECIAL = frozenset({"model", "tool", "provider", "kind", "conversation"})
_SUMS = ", ".join(f"sum({name}) AS s_{name}" for name in TOTAL_FIELDS)


def sums_query(by: Sequence[str], where: CallFilter) -> tuple[str, list[Any]]:
    """The statement whose rows are the columns of `by`, then the whole numbers of a total; and its values."""
    columns = [_column(name) for name in by]
    if set(by) <= _KEPT and not (where.session or where.run or where.state):
        source, values = _pieces(where)
    else:
        source, values = _filtered("SELECT * FROM tally", where)
    keys = ", ".join(f"{column} AS k{at}" for at, column in enumerate(columns))
    group = f" GROUP BY {', '.join(f'k{at}' for at in range(len(columns)))}" if columns else ""
    listed = f"{keys}, {_SUMS}" if keys else _SUMS
    # a line that something was taken away from again may be left with nothing
    return f"SELECT {listed} FROM ({source}) u{group} HAVING sum(call_count) + sum(tool_count) > 0", values  # noqa: S608  fixed texts


def totals_from(found: Iterable[Any], by: Sequence[str]) -> dict[TotalKey, Total]:
    """Rows as totals; what PostgreSQL cannot read out of tags and times is worked out here, and equal keys are added up."""
    sums: dict[TotalKey, Total] = {}
    for row in found:
        key = tuple([_value(name, row[at]) for at, name in enumerate(by)])
        total = Total.of([int(number) for number in row[len(by) :]])
        sums[key] = sums[key] + total if key in sums else total
    return sums


def _column(name: str) -> str:
    if name == "quarter_hour":
        return "quarter"
    if name == "user":
        return '"user"'
    return name if name in DIMENSIONS or name in _SPECIAL else "tags"


def _value(name: str, found: Any) -> str | None:
    if name == "quarter_hour":
        return quarter_hour_of(instant_of(found))
    if name in DIMENSIONS or name in _SPECIAL:
        return None if found is None else str(found)
    key = name.removeprefix("tag:")
    return next((text for tag, text in json.loads(found or "[]") if tag == key), None)


def _pieces(where: CallFilter) -> tuple[str, list[Any]]:
    """Kept sums of the whole quarters in a time, calls of the quarters that it cuts."""
    since, until = micros(where.since), micros(where.until)
    least = None if since is None else -(-since // _QUARTER_MICROS) * _QUARTER_MICROS
    most = None if until is None else until // _QUARTER_MICROS * _QUARTER_MICROS
    if least is not None and most is not None and least >= most:
        return _filtered("SELECT * FROM tally", where)
    names = ", ".join((*sorted(_KEPT - {"quarter_hour"}), "quarter", *TOTAL_FIELDS))
    parts = [_tested(f"SELECT {names} FROM quarter_total", _tests(where, quarter=(least, most)))]  # noqa: S608  fixed texts
    for start, end in ((since, least), (most, until)):
        if start is not None and end is not None and start < end:
            parts.append(_tested(f"SELECT {names} FROM tally", _tests(where, started_at=(start, end))))  # noqa: S608
    return " UNION ALL ".join(sql for sql, _ in parts), [value for _, values in parts for value in values]


def _filtered(sql: str, where: CallFilter) -> tuple[str, list[Any]]:
    return _tested(sql, _tests(where, started_at=(micros(where.since), micros(where.until))))


def _tests(where: CallFilter, **between: tuple[int | None, int | None]) -> dict[str, Any]:
    tests: dict[str, Any] = {
        "app = %s": where.app, "session = %s": where.session, "run = %s": where.run, "agent = %s": where.agent,
        "state = %s": where.state.value if where.state else None,
    }  # fmt: skip
    for column, (least, most) in between.items():
        tests |= {f"{column} >= %s": least, f"{column} < %s": most}
    return {test: value for test, value in tests.items() if value is not None}


def _tested(sql: str, tests: dict[str, Any]) -> tuple[str, list[Any]]:
    return sql + (" WHERE " + " AND ".join(tests) if tests else ""), list(tests.values())
