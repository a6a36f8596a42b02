"""What repeats from call to call, written once: who pays, what was asked, chains of accounts, words.

A row of a call names these by number. Numbers are looked up in the open transaction and remembered with the connection; what
was remembered is forgotten when a transaction is rolled back, because the numbers it had given are given again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind
from runguard_core.ledger import Account, CallOrDraft, Hold, Unit
from runguard_core.stores._sqlite_packing import Leg, fit
from runguard_core.stores._sqlite_rows import micros, storable

_MAX_REMEMBERED = 50_000
_PAYER = ("app", "feature", "team", "owner", "agent", "release", "tags")
_WHO = ("payer", "user", "session", "run", "instance", "lone")
_ASKED = ("kind", "name", "provider", "account", "key_fingerprint", "policy_hash")


def _found(table: str, columns: Sequence[str]) -> str:
    return f"SELECT id FROM {table} WHERE {' AND '.join(f'{name} IS ?' for name in columns)}"  # noqa: S608  names of ours


def _added(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  names of ours


_SQL = {
    name: (_found(name, columns), _added(name, columns))
    for name, columns in (("payer", _PAYER), ("who", _WHO), ("asked", _ASKED), ("word", ("text",)), ("chain", ("accounts",)))
}
_ACCOUNT = "INSERT INTO account (key, unit, title, window_start, window_end, shown_limit) VALUES (?, ?, ?, ?, ?, ?)"


#: Kind, name, provider, account, key fingerprint, policy hash.
Asked = tuple[CallKind, str, str | None, str | None, str | None, str]
_NOBODY: tuple[None, tuple[int, int]] = (None, (0, 0))


class Words:
    """The dictionaries of one connection."""

    def __init__(self) -> None:
        """Nothing remembered yet."""
        self._ids: dict[Any, Any] = {}
        self._read: dict[tuple[str, Any], Any] = {}
        self._stamp: str | None = None
        self._last: dict[int, tuple[Attribution | None, tuple[int, int]]] = {}  # by the very object, which is kept

    def refresh(self, db: sqlite3.Connection) -> None:
        """In a transaction: forget everything where another connection has changed what stands behind numbers."""
        row = db.execute("SELECT value FROM meta WHERE key = 'words'").fetchone()
        stamp = None if row is None else row[0]
        if stamp != self._stamp:
            self.forget()
            self._stamp = stamp

    def forget(self) -> None:
        """A transaction was rolled back: what it added is not there."""
        self._ids.clear()
        self._read.clear()
        self._last.clear()

    # -- values to numbers, in a writing transaction ------------------------------------------------------------------

    def who(self, db: sqlite3.Connection, call: CallOrDraft) -> tuple[int, int]:
        """Whose call it is, but for its turn and loop; and who pays."""
        who = call.who
        last, found = self._last.get(id(who), _NOBODY)
        if last is who:
            return found
        found = self._found_who(db, call)
        if who.session or who.run:
            if len(self._last) >= _MAX_REMEMBERED:
                self._last.clear()
            self._last[id(who)] = (who, found)
        return found

    def _found_who(self, db: sqlite3.Connection, call: CallOrDraft) -> tuple[int, int]:
        who = call.who
        lone = None if who.session or who.run else call.id
        key = (
            who.session, who.run, who.agent, who.instance, who.user, who.feature, who.app, who.team, who.owner, who.release,
            who.tags, lone,
        )  # fmt: skip
        found: tuple[int, int] | None = self._ids.get(key)
        if found is None:
            payer = (who.app, who.feature, who.team, who.owner, who.agent, who.release, json.dumps(who.tags))
            payer_id = self._number(db, "payer", payer)
            found = self._number(db, "who", (payer_id, who.user, who.session, who.run, who.instance, lone)), payer_id
            self._remember(key, found)
        return found

    def asked(self, db: sqlite3.Connection, key: Asked) -> int:
        """What was called, where and under which policy."""
        found: int | None = self._ids.get(key)
        if found is None:
            found = self._number(db, "asked", (key[0].value, *key[1:]))
            self._remember(key, found)
        return found

    def word(self, db: sqlite3.Connection, text: str | None) -> int | None:
        """A text that many calls share."""
        if text is None:
            return None
        found: int | None = self._ids.get(text)
        if found is None:
            found = self._number(db, "word", (text,))
            self._remember(text, found)
        return found

    def texts(self, db: sqlite3.Connection, texts: tuple[str, ...]) -> int | None:
        """Several texts as one word; None without any."""
        if not texts:
            return None
        found: int | None = self._ids.get(("texts", texts))
        if found is None:
            found = self.word(db, json.dumps([fit(text) for text in texts]))
            self._remember(("texts", texts), found)
        return found

    def chain(self, db: sqlite3.Connection, holds: Sequence[Hold]) -> tuple[int | None, tuple[Leg, ...]]:
        """The accounts of a call, in their order, opened on first sight: the chain's number, and its legs."""
        if not holds:
            return None, ()
        key = ("chain", *[hold.account.key for hold in holds])
        found: tuple[int, tuple[Leg, ...]] | None = self._ids.get(key)
        if found is None:
            legs = tuple([self.leg(db, hold.account, hold.shown_limit) for hold in holds])
            number = self._number(db, "chain", (json.dumps([leg.id for leg in legs], separators=(",", ":")),))
            found = number, legs
            self._remember(key, found)
        return found

    def leg(self, db: sqlite3.Connection, account: Account, shown_limit: int | None = None) -> Leg:
        """An account, which is opened on first sight."""
        found: Leg | None = self._read.get(("leg", account.key))
        if found is None:
            row = db.execute("SELECT id FROM account WHERE key = ?", (account.key,)).fetchone()
            if row is None:
                start, end = micros(account.window_start), micros(account.window_end)
                values = storable((account.key, account.unit.value, account.title, start, end, shown_limit))
                number = db.execute(_ACCOUNT, values).lastrowid
            else:
                number = row[0]
            assert number is not None
            found = Leg(number, account.key, account.unit)
            self._keep(("leg", account.key), found)
        return found

    def _number(self, db: sqlite3.Connection, table: str, values: tuple[Any, ...]) -> int:
        find, add = _SQL[table]
        values = storable(values)
        row = db.execute(find, values).fetchone()
        if row is not None:
            return int(row[0])
        number = db.execute(add, values).lastrowid
        assert number is not None
        return number

    def _remember(self, key: Any, number: Any) -> None:
        if len(self._ids) >= _MAX_REMEMBERED:
            self._ids.clear()
        self._ids[key] = number

    # -- numbers to values --------------------------------------------------------------------------------------------

    def attribution_of(self, db: sqlite3.Connection, number: int) -> Attribution:
        """Whose it is; turn and loop are the call's own."""
        found: Attribution | None = self._read.get(("who", number))
        if found is None:
            sql = "SELECT * FROM who JOIN payer ON payer.id = who.payer WHERE who.id = ?"
            row = db.execute(sql, (number,)).fetchone()
            tags = tuple([(name, value) for name, value in json.loads(row["tags"])])
            names = ("app", "feature", "team", "owner", "agent", "instance", "user", "session", "run", "release")
            found = Attribution(**{name: row[name] for name in names}, tags=tags)
            self._keep(("who", number), found)
        return found

    def payer_value(self, db: sqlite3.Connection, number: int, dimension: str) -> str | None:
        """What a payer says of a dimension, tags included."""
        found: Attribution | None = self._read.get(("payers", number))
        if found is None:
            row = db.execute("SELECT * FROM payer WHERE id = ?", (number,)).fetchone()
            tags = tuple([(name, value) for name, value in json.loads(row["tags"])])
            found = Attribution(**{name: row[name] for name in _PAYER[:-1]}, tags=tags)
            self._keep(("payers", number), found)
        return found.value(dimension)

    def payer_of(self, db: sqlite3.Connection, number: int) -> int:
        """Who pays for a run."""
        found: int | None = self._read.get(("payer", number))
        if found is None:
            found = int(db.execute("SELECT payer FROM who WHERE id = ?", (number,)).fetchone()[0])
            self._keep(("payer", number), found)
        return found

    def asked_of(self, db: sqlite3.Connection, number: int) -> Asked:
        """Kind, name, provider, account, key fingerprint, policy hash."""
        found: Asked | None = self._read.get(("asked", number))
        if found is None:
            row = db.execute("SELECT * FROM asked WHERE id = ?", (number,)).fetchone()
            found = (CallKind(row["kind"]), *[row[name] for name in _ASKED[1:]])
            self._keep(("asked", number), found)
        return found

    def word_of(self, db: sqlite3.Connection, number: int | None) -> str | None:
        """A shared text."""
        if number is None:
            return None
        found: str | None = self._read.get(("word", number))
        if found is None:
            found = str(db.execute("SELECT text FROM word WHERE id = ?", (number,)).fetchone()[0])
            self._keep(("word", number), found)
        return found

    def texts_of(self, db: sqlite3.Connection, number: int | None) -> tuple[str, ...]:
        """Several texts that are one word."""
        text = self.word_of(db, number)
        return () if text is None else tuple(json.loads(text))

    def legs_of(self, db: sqlite3.Connection, number: int | None) -> tuple[Leg, ...]:
        """The accounts of a chain."""
        if number is None:
            return ()
        found: tuple[Leg, ...] | None = self._read.get(("chain", number))
        if found is None:
            accounts = json.loads(db.execute("SELECT accounts FROM chain WHERE id = ?", (number,)).fetchone()[0])
            found = tuple([self.leg_of(db, account) for account in accounts])
            self._keep(("chain", number), found)
        return found

    def leg_of(self, db: sqlite3.Connection, number: int) -> Leg:
        """An account by its number."""
        found: Leg | None = self._read.get(("account", number))
        if found is None:
            row = db.execute("SELECT key, unit FROM account WHERE id = ?", (number,)).fetchone()
            found = Leg(number, row[0], Unit(row[1]))
            self._keep(("account", number), found)
        return found

    def _keep(self, key: Any, value: Any) -> None:
        if len(self._read) >= _MAX_REMEMBERED:
            self._read.clear()
        self._read[key] = value
