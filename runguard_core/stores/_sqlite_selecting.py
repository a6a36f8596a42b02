"""Which rows of `call` a filter selects, with as little reading as the layout allows.

Calls are found by their session or run, by being pending, or by when they were admitted: numbers run almost with time, and the
sums by quarters of an hour say between which numbers a quarter's settled calls lie.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from runguard_core.ledger import CallFilter, CallRecord, CallState
from runguard_core.stores._sqlite_calls import call_of
from runguard_core.stores._sqlite_packing import STATES, fit
from runguard_core.stores._sqlite_rows import instant_of, micros, micros_of
from runguard_core.stores._sqlite_sums import QUARTER_MICROS
from runguard_core.stores._sqlite_words import Words


def selected(db: sqlite3.Connection, words: Words, where: CallFilter) -> list[CallRecord]:
    """The calls of a filter in the order in which they were admitted."""
    if where.limit and where.since is None:
        where = replace(where, since=_since_for_latest(db, where))
    found = [call_of(db, words, row) for row in every_row(db, where)]
    found.sort(key=lambda call: (call.started_at, call.id))
    return found[-where.limit :] if where.limit else found


def every_row(db: sqlite3.Connection, where: CallFilter) -> Iterator[Any]:
    """The rows of a filter, in no order, its limit aside."""
    if where.state is not CallState.PENDING:
        yield from settled_rows(db, where)
    if where.state in {None, CallState.PENDING}:
        yield from pending_rows(db, where)


def pending_rows(db: sqlite3.Connection, where: CallFilter) -> Iterator[Any]:
    """Rows of calls in flight."""
    return _rows(db, "expires_at IS NOT NULL", (), where)


def settled_rows(db: sqlite3.Connection, where: CallFilter) -> Iterator[Any]:
    """Rows of settled calls."""
    test, values = "expires_at IS NULL", []
    if where.state is not None:
        test += " AND state = ?"
        values.append(STATES.index(where.state))
    if where.session is None and where.run is None and (where.since, where.until) != (None, None):
        least, most = numbers_between(db, where.since, where.until)
        test += " AND n BETWEEN ? AND ?"
        values += [least, most]
    return _rows(db, test, values, where)


def _rows(db: sqlite3.Connection, test: str, values: Sequence[int], where: CallFilter) -> Iterator[Any]:
    tests, used = [test], list[Any](values)
    if where.session is not None or where.run is not None:
        named = {"session = ?": where.session, "run = ?": where.run}
        inner = [one for one, value in named.items() if value is not None]
        tests.append(f"who IN (SELECT id FROM who WHERE {' AND '.join(inner)})")  # noqa: S608  fixed texts
        used += [fit(value) for value in named.values() if value is not None]
    payers = payers_of(db, where)
    if payers is not None:
        # the plus keeps SQLite from going through every run of these payers
        tests.append(f"+who IN (SELECT id FROM who WHERE payer IN ({', '.join(map(str, payers))}))")  # noqa: S608  our numbers
    for one, at in (("started_at >= ?", where.since), ("started_at < ?", where.until)):
        if at is not None:
            tests.append(one)
            used.append(micros_of(at))
    return iter(db.execute(f"SELECT * FROM call WHERE {' AND '.join(tests)}", used))  # noqa: S608  fixed texts and our numbers


def payers_of(db: sqlite3.Connection, where: CallFilter) -> list[int] | None:
    """The payers that a filter allows; None for all."""
    if where.app is None and where.agent is None:
        return None
    sql = "SELECT id, (? IS NULL OR app = ?) AND (? IS NULL OR agent IS ?) FROM payer"
    app, agent = (None if text is None else fit(text) for text in (where.app, where.agent))
    rows = db.execute(sql, (app, app, agent, agent)).fetchall()
    return None if rows and all(row[1] for row in rows) else [row[0] for row in rows if row[1]]


def numbers_between(db: sqlite3.Connection, since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """Between which numbers the settled calls of a time lie."""
    tests, values = ["1"], []
    if since is not None:
        tests.append("quarter >= ?")
        values.append(micros_of(since) // QUARTER_MICROS)
    if until is not None:
        tests.append("quarter <= ?")
        values.append(micros_of(until) // QUARTER_MICROS)
    sql = f"SELECT min(first_n), max(last_n) FROM quarter_total WHERE {' AND '.join(tests)}"  # noqa: S608  fixed texts
    least, most = db.execute(sql, values).fetchone()
    return (0, -1) if least is None else (least, most)


def _since_for_latest(db: sqlite3.Connection, where: CallFilter) -> datetime | None:
    """From when on there are as many calls as asked for; None where that is not known without reading them."""
    if where.session is not None or where.run is not None or where.state is not None:
        return None
    payers, until = payers_of(db, where), micros(where.until)
    test = "1" if payers is None else f"payer IN ({', '.join(map(str, payers))})"
    sql = f"SELECT quarter, sum(call_count + tool_count) FROM quarter_total WHERE {test} GROUP BY quarter ORDER BY quarter DESC"  # noqa: S608  as above
    count = 0
    for quarter, more in db.execute(sql):
        if until is None or (quarter + 1) * QUARTER_MICROS <= until:
            count += more
        if count >= (where.limit or 0):
            return instant_of(quarter * QUARTER_MICROS)
    return None
