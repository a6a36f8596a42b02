"""Forgetting a user in a file: the ids of people stand in `who`, and where budgets are split by users in accounts and events."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from runguard_core.ledger import Forgotten
from runguard_core.stores import _sqlite_rows as rows
from runguard_core.stores._forgetting import Renaming
from runguard_core.stores._sqlite_packing import fit

#: Tells other connections that what stands behind numbers has changed.
WORDS_CHANGED = (
    "INSERT INTO meta VALUES ('words', '1') ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"
)
_BREAKER_CHANGED = "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'breaker'"
_SET_EVENT = "UPDATE event SET message = ?, facts = ? WHERE sequence = ?"


def forget(db: sqlite3.Connection, users: Collection[str], pseudonym: str) -> Forgotten:
    """In the open transaction."""
    renaming = Renaming(frozenset(users), pseudonym)
    named = [fit(user) for user in sorted(users)]
    places = ", ".join("?" * len(named))
    whos = [row[0] for row in db.execute(f"SELECT id FROM who WHERE user IN ({places})", named)]  # noqa: S608  question marks
    count = sum(db.execute("SELECT count(*) FROM call WHERE who = ?", (who,)).fetchone()[0] for who in whos)
    in_use = _rename_accounts(db, renaming)
    for who in whos:
        _rename_amounts(db, renaming, who)
    db.executemany("UPDATE who SET user = ? WHERE id = ?", [(pseudonym, who) for who in whos])
    events = _rename_in_events(db, renaming)
    db.execute(WORDS_CHANGED)
    db.execute(_BREAKER_CHANGED)
    return Forgotten(
        session_count=len(whos), call_count=count, account_count=len(renaming.accounts), event_count=events, in_use_count=in_use
    )


def _rename_accounts(db: sqlite3.Connection, renaming: Renaming) -> int:
    """Accounts with nothing in flight, and what names them elsewhere; how many are in use."""
    in_use = 0
    for row in db.execute("SELECT * FROM account WHERE instr(key, '\"user\"')").fetchall():
        before = rows.account_of(row).account
        after = renaming.account(before)
        if after is None:
            continue
        leased = db.execute("SELECT 1 FROM lease WHERE account_key = ?", (before.key,)).fetchone()
        if row["pending"] or row["leased"] or leased:
            in_use += 1
            del renaming.accounts[before.key]
            continue
        db.execute("UPDATE account SET key = ?, title = ? WHERE id = ?", (after.key, fit(after.title), row["id"]))
        db.execute("UPDATE limit_override SET account_key = ? WHERE account_key = ?", (after.key, before.key))
        db.execute("UPDATE latch SET account_key = ? WHERE account_key = ?", (after.key, before.key))
    for row in db.execute("SELECT * FROM latch").fetchall():
        reason = renaming.text(row["reason"])
        if reason != row["reason"]:
            where = (reason, row["scope_kind"], row["scope_id"])
            db.execute("UPDATE latch SET reason = ? WHERE scope_kind = ? AND scope_id = ?", where)
    return in_use


def _rename_amounts(db: sqlite3.Connection, renaming: Renaming, who: int) -> None:
    """Settlements that name their accounts by key, because they differ from those that were held."""
    found = db.execute("SELECT n, spent FROM call WHERE who = ? AND substr(spent, 1, 1) = '{'", (who,)).fetchall()
    changed = [(rows.to_json(renaming.amounts(json.loads(row["spent"]))), row["n"]) for row in found]
    db.executemany("UPDATE call SET spent = ? WHERE n = ?", changed)


def _rename_in_events(db: sqlite3.Connection, renaming: Renaming) -> int:
    changed = []
    for row in db.execute("SELECT * FROM event WHERE instr(facts, 'user') OR instr(message, 'user')"):
        before = rows.event_of(row)
        after = renaming.event(before)
        if after != before:
            changed.append((fit(after.message), rows.to_json(dict(after.facts)), row["sequence"]))
    db.executemany(_SET_EVENT, changed)
    return len(changed)
