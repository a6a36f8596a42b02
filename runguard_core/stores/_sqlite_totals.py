"""`Store.totals` and `Store.sessions` from the sums that every settlement adds to.

Whole quarters of an hour, or whole runs, come from sums; what a time cuts in two, and what is in flight, is read call by call.
So the answer is exact, whatever was asked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from runguard_core.attribution import DIMENSIONS
from runguard_core.calls import CallKind
from runguard_core.ledger import (
    TOTAL_FIELDS,
    CallFilter,
    CallRecord,
    Total,
    TotalKey,
    conversation_of,
    costs_of,
    latest_sessions,
    quarter_hour_of,
    totals_of,
)
from runguard_core.stores._adding_up import added, carried_totals
from runguard_core.stores._sqlite_calls import call_of
from runguard_core.stores._sqlite_carried import every_carried
from runguard_core.stores._sqlite_rows import instant_of, micros_of
from runguard_core.stores._sqlite_selecting import every_row, payers_of, pending_rows, selected, settled_rows
from runguard_core.stores._sqlite_sums import QUARTER_MICROS
from runguard_core.stores._sqlite_words import Words

#: Dimensions of a quarter's sums besides those of who pays, and which columns they need.
_OF_QUARTERS = {
    "model": ("asked", "answered"), "tool": ("asked",), "provider": ("asked",), "kind": ("asked",), "quarter_hour": ("quarter",),
}  # fmt: skip
#: Dimensions of a run's sums besides those of who pays, as SQL.
_OF_WHO = {
    "user": "user", "session": "session", "run": "run", "instance": "instance",
    "conversation": "coalesce(nullif(session, ''), nullif(run, ''), lone)",
}  # fmt: skip
_OF_CALLS = DIMENSIONS - {"app", "feature", "team", "owner", "agent", "release", *_OF_WHO}


class _Sums(NamedTuple):
    """Which sums are read, the counts of calls among the first, and how they become a total."""

    fields: Sequence[str]
    total: Callable[[Sequence[int]], Total]


def _cost_only(counts: Sequence[int]) -> Total:
    calls, tools, nanos = counts
    return Total(call_count=calls, tool_count=tools, cost_nanos=nanos)


_ALL = _Sums(TOTAL_FIELDS, Total.of)
_COSTS = _Sums(("call_count", "tool_count", "cost_nanos"), _cost_only)
_MANY = 500


def kept_totals(
    db: sqlite3.Connection, words: Words, by: Sequence[str], where: CallFilter, sums: _Sums = _ALL
) -> dict[TotalKey, Total]:
    """Sums by dimensions.

    Args:
        sums: those that must be right; of the others some may be left at 0.
    """
    names = set(by)
    if where.limit:
        return totals_of(selected(db, words, where), by)
    if where.session or where.run or where.state or names & _OF_CALLS or (names & set(_OF_WHO) and names & set(_OF_QUARTERS)):
        dropped = carried_totals(every_carried(db, words, where, payers_of(db, where)), by)
        return added(totals_of(_calls(db, words, every_row(db, where)), by), dropped)
    payers = payers_of(db, where)
    kept, cut, dropped = (_runs if names & set(_OF_WHO) else _quarters)(db, words, by, where, payers, sums)
    read = totals_of(_calls(db, words, (row for rows in (*cut, pending_rows(db, where)) for row in rows)), by)
    return added(added(kept, read), dropped)


def kept_costs(db: sqlite3.Connection, words: Words, by: Sequence[str], where: CallFilter) -> dict[TotalKey, int]:
    """The charges of these sums: where runs are added up, fewer columns of them."""
    return costs_of(kept_totals(db, words, by, where, _COSTS))


def kept_sessions(db: sqlite3.Connection, words: Words, where: CallFilter) -> tuple[tuple[str, str], ...]:
    """(app, conversation), the latest admission first."""
    if where.session or where.run or where.state or where.until is not None:
        dropped = (
            replace(one.call, started_at=instant_of(one.last_at)) for one in every_carried(db, words, where, payers_of(db, where))
        )
        return latest_sessions(chain(_calls(db, words, every_row(db, where)), dropped), where.limit)
    latest: dict[tuple[str, str], datetime] = {}
    for call in _calls(db, words, pending_rows(db, where)):
        key = (call.attribution.app, conversation_of(call))
        latest[key] = max(latest.get(key, call.started_at), call.started_at)
    for key, at in _latest_settled(db, where).items():
        latest[key] = max(latest.get(key, at), at)
    ordered = sorted(sorted(latest), key=latest.__getitem__, reverse=True)
    return tuple(ordered[: where.limit] if where.limit else ordered)


def _calls(db: sqlite3.Connection, words: Words, rows: Iterable[Any]) -> Iterator[CallRecord]:
    for row in rows:
        yield call_of(db, words, row)


# -- quarters of an hour ----------------------------------------------------------------------------------------------


def _quarters(
    db: sqlite3.Connection,
    words: Words,
    by: Sequence[str],
    where: CallFilter,
    payers: list[int] | None,
    wanted: _Sums,
) -> tuple[dict[TotalKey, Total], list[Iterable[Any]], dict[TotalKey, Total]]:
    """Sums of the whole quarters in a time, and the settled rows of those that it cuts, and sums of rows that are gone."""
    least = None if where.since is None else -(-micros_of(where.since) // QUARTER_MICROS)
    most = None if where.until is None else micros_of(where.until) // QUARTER_MICROS
    if least is not None and most is not None and least >= most:
        return {}, [settled_rows(db, where)], carried_totals(every_carried(db, words, where, payers), by)
    parts: list[CallFilter] = []
    if least is not None:
        parts.append(replace(where, until=instant_of(least * QUARTER_MICROS)))
    if most is not None:
        parts.append(replace(where, since=instant_of(most * QUARTER_MICROS)))
    cut: list[Iterable[Any]] = [settled_rows(db, part) for part in parts]
    dropped: dict[TotalKey, Total] = {}
    for part in parts:
        added(dropped, carried_totals(every_carried(db, words, part, payers), by))
    needed = {column for name in by for column in _OF_QUARTERS.get(name, ("payer",))}
    columns = [column for column in ("quarter", "payer", "asked", "answered") if column in needed]
    tests = [f"payer IN ({', '.join(map(str, payers))})"] if payers is not None else []
    tests += [f"quarter >= {least}"] if least is not None else []
    tests += [f"quarter < {most}"] if most is not None else []
    return _grouped(db, "quarter_total", columns, tests, _quarter_key(db, words, by, columns), wanted), cut, dropped


def _quarter_key(db: sqlite3.Connection, words: Words, by: Sequence[str], columns: Sequence[str]) -> Callable[[Any], TotalKey]:
    """From the grouping columns of a row to the key of its total."""
    places = {column: place for place, column in enumerate(columns)}

    def value(name: str, row: Any) -> str | None:
        if name == "quarter_hour":
            return quarter_hour_of(instant_of(row[places["quarter"]] * QUARTER_MICROS))
        if name not in _OF_QUARTERS:
            return words.payer_value(db, row[places["payer"]], name)
        kind, asked, provider, *_ = words.asked_of(db, row[places["asked"]])
        if name == "model":
            answered = words.word_of(db, row[places["answered"]] or None)
            return (answered or asked) if kind is CallKind.MODEL else None
        if name == "tool":
            return asked if kind is CallKind.TOOL else None
        return provider if name == "provider" else kind.value

    return lambda row: tuple([value(name, row) for name in by])


# -- runs -------------------------------------------------------------------------------------------------------------


def _runs(
    db: sqlite3.Connection,
    words: Words,
    by: Sequence[str],
    where: CallFilter,
    payers: list[int] | None,
    wanted: _Sums,
) -> tuple[dict[TotalKey, Total], list[Iterable[Any]], dict[TotalKey, Total]]:
    """Sums of the runs that lie in a time, the settled rows of those that it cuts, and sums of rows of these that are gone."""
    columns = list(dict.fromkeys(_OF_WHO.get(name, "payer") for name in by))
    tests = [f"payer IN ({', '.join(map(str, payers))})"] if payers is not None else []
    whole, some = list(tests), list(tests)
    if where.since is not None:
        whole.append(f"first_at >= {micros_of(where.since)}")
        some.append(f"last_at >= {micros_of(where.since)}")
    if where.until is not None:
        whole.append(f"last_at < {micros_of(where.until)}")
        some.append(f"first_at < {micros_of(where.until)}")
    cut: list[int] = []
    if where.since is not None or where.until is not None:
        inside = " AND ".join(whole)
        sql = f"SELECT who FROM {_WHO_TABLES} WHERE {' AND '.join(some)} AND NOT ({inside})"  # noqa: S608  fixed texts and numbers
        cut = [row[0] for row in db.execute(sql).fetchall()]

    places = [columns.index(_OF_WHO.get(name, "payer")) for name in by]
    of_payers = [None if name in _OF_WHO else _Values(db, words, name) for name in by]

    def key(row: Any) -> TotalKey:
        return tuple([row[at] if its is None else its[row[at]] for at, its in zip(places, of_payers, strict=True)])

    dropped = carried_totals(every_carried(db, words, where, payers, cut), by)
    return _grouped(db, _WHO_TABLES, columns, whole, key, wanted), [_of_runs(db, cut, where)], dropped


class _Values(dict[int, str | None]):
    """A dimension of payers by their numbers, each looked up once."""

    def __init__(self, db: sqlite3.Connection, words: Words, name: str) -> None:
        """Nothing is looked up yet."""
        super().__init__()
        self._look: Callable[[int], str | None] = lambda payer: words.payer_value(db, payer, name)

    def __missing__(self, payer: int) -> str | None:
        found = self[payer] = self._look(payer)
        return found


_WHO_TABLES = "who_total JOIN who ON who.id = who_total.who"


def _of_runs(db: sqlite3.Connection, whos: list[int], where: CallFilter) -> Iterator[Any]:
    """Settled rows of some runs in a time."""
    since = micros_of(where.since) if where.since is not None else -(2**62)
    until = micros_of(where.until) if where.until is not None else 2**62
    for start in range(0, len(whos), _MANY):
        some = ", ".join(map(str, whos[start : start + _MANY]))
        test = f"who IN ({some}) AND expires_at IS NULL AND started_at >= {since} AND started_at < {until}"
        yield from db.execute(f"SELECT * FROM call WHERE {test}").fetchall()  # noqa: S608  numbers of ours


def _latest_settled(db: sqlite3.Connection, where: CallFilter) -> dict[tuple[str, str], datetime]:
    """Latest admission by session; at least those of the latest `limit` sessions."""
    payers = payers_of(db, where)
    tests = [f"payer IN ({', '.join(map(str, payers))})"] if payers is not None else []
    tests += [f"last_at >= {micros_of(where.since)}"] if where.since is not None else []
    # before the join: the latest runs; their number grows until it holds the sessions asked for
    wanted, count = where.limit or 0, 8 * (where.limit or 0) + 100
    while True:
        sql = (
            f"SELECT app, {_OF_WHO['conversation']}, last_at FROM {_WHO_TABLES} JOIN payer ON payer.id = who.payer "  # noqa: S608  fixed texts and numbers
            f"WHERE {' AND '.join(tests) or '1'} ORDER BY last_at DESC LIMIT {count if wanted else -1}"
        )
        found: dict[tuple[str, str], int] = {}
        rows = db.execute(sql).fetchall()
        for app, conversation, at in rows:
            found.setdefault((app, conversation), at)
        # those of the very last instant may be more than were read
        sure = sum(1 for at in found.values() if at > rows[-1][2]) if rows else 0
        if not wanted or len(rows) < count or sure >= wanted:
            return {key: instant_of(at) for key, at in found.items()}
        count *= 8


def _grouped(
    db: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    tests: Sequence[str],
    key: Callable[[Any], TotalKey],
    wanted: _Sums,
) -> dict[TotalKey, Total]:
    """Sums of a table by columns, those of no call left out; several groups may have one key."""
    group = f" GROUP BY {', '.join(map(str, range(1, len(columns) + 1)))}" if columns else ""
    chosen = "".join(f"{column}, " for column in columns)
    sums = ", ".join(f"sum({name})" for name in wanted.fields)
    sql = f"SELECT {chosen}{sums} FROM {table} WHERE {' AND '.join(tests) or '1'}{group}"  # noqa: S608  fixed texts and numbers
    found: dict[TotalKey, Total] = {}
    for row in db.execute(sql):
        counts = tuple(row)[len(columns) :]
        if counts[0] or counts[1]:
            at, total = key(row), wanted.total(counts)
            found[at] = found[at] + total if at in found else total
    return found
