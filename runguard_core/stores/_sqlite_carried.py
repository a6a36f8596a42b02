"""Sums that stand for dropped calls, read as if each were one call at the instant of the first of them.

So they are added by every dimension that the rows had (but for `turn` and `loop`), nothing is counted twice by neighbouring
windows, and what a window of whole quarters of an hour sums up is what it summed up before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from runguard_core.calls import OutcomeKind
from runguard_core.ledger import TOTAL_FIELDS, CallFilter, CallRecord, Settlement, Total
from runguard_core.stores._sqlite_packing import STATES, fit
from runguard_core.stores._sqlite_rows import instant_of, micros_of
from runguard_core.stores._sqlite_words import Words

_COLUMNS = ", ".join(TOTAL_FIELDS)
_MANY = 500
#: In `meta`, once there are any: what was charged for all of them, nano-USD. `verify` asks whether it still is.
MARK = "carried"


class Carried(NamedTuple):
    """A sum of dropped calls: what they have in common as a call, when the last of them began, their total."""

    call: CallRecord
    last_at: int
    total: Total


def carried_nanos(db: sqlite3.Connection) -> int | None:
    """What was charged for dropped calls, nano-USD; None where none was ever dropped."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (MARK,)).fetchone()
    return None if row is None else int(row[0])


def every_carried(
    db: sqlite3.Connection, words: Words, where: CallFilter, payers: Sequence[int] | None, whos: Sequence[int] | None = None
) -> Iterator[Carried]:
    """Sums of dropped calls that a filter selects; `payers` as for calls, `whos` only of these runs."""
    if carried_nanos(db) is None:
        return
    tests, values = _tests(where, payers)
    if whos is None:
        yield from _read(db, words, tests, values)
        return
    for start in range(0, len(whos), _MANY):
        some = ", ".join(map(str, whos[start : start + _MANY]))
        yield from _read(db, words, [*tests, f"who IN ({some})"], values)


def _tests(where: CallFilter, payers: Sequence[int] | None) -> tuple[list[str], list[Any]]:
    tests, values = ["1"], list[Any]()
    for test, at in (("first_at >= ?", where.since), ("first_at < ?", where.until)):
        if at is not None:
            tests.append(test)
            values.append(micros_of(at))
    if where.state is not None:
        tests.append("state = ?")
        values.append(STATES.index(where.state))
    for test, name in (("session = ?", where.session), ("run = ?", where.run)):
        if name is not None:
            tests.append(f"who IN (SELECT id FROM who WHERE {test})")  # noqa: S608  fixed texts
            values.append(fit(name))
    if payers is not None:
        tests.append(f"who IN (SELECT id FROM who WHERE payer IN ({', '.join(map(str, payers))}))")  # noqa: S608  our numbers
    return tests, values


def _read(db: sqlite3.Connection, words: Words, tests: Sequence[str], values: Sequence[Any]) -> Iterator[Carried]:
    sql = f"SELECT who, asked, answered, state, first_at, last_at, {_COLUMNS} FROM carried WHERE {' AND '.join(tests)}"  # noqa: S608  fixed texts and our numbers
    for who, asked, answered, state, first_at, last_at, *counts in db.execute(sql, values).fetchall():
        yield Carried(_call(db, words, (who, asked, answered, state, first_at)), last_at, Total.of(counts))


def _call(db: sqlite3.Connection, words: Words, row: tuple[int, int, int, int, int]) -> CallRecord:
    who, asked, answered, state, first_at = row
    kind, name, provider, account, fingerprint, policy_hash = words.asked_of(db, asked)
    at, lone = instant_of(first_at), db.execute("SELECT lone FROM who WHERE id = ?", (who,)).fetchone()[0]
    settlement = Settlement(at=at, outcome=OutcomeKind.COMPLETED, model_answered=words.word_of(db, answered or None))
    found = CallRecord(
        id=lone or "", kind=kind, name=name, attribution=words.attribution_of(db, who), started_at=at, provider=provider,
        account=account, key_fingerprint=fingerprint, policy_hash=policy_hash,
    )  # fmt: skip
    return replace(found, state=STATES[state], settlement=settlement)
