"""`verify`: the file's own integrity, then every sum of the book recomputed from its lines and calls, in one pass."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from runguard_core.ledger import TOTAL_FIELDS, Balance, Discrepancy, Entry, Tell, Total, counts_of
from runguard_core.stores import _sqlite_calls as calls
from runguard_core.stores._sqlite_carried import carried_nanos
from runguard_core.stores._sqlite_lines import entry_of, in_order, lines_of
from runguard_core.stores._sqlite_packing import CORRECTED, pack_id, unpack_id
from runguard_core.stores._sqlite_rows import account_of
from runguard_core.stores._sqlite_sums import QUARTER_MICROS
from runguard_core.stores._sqlite_words import Words

_TELL_EVERY = 20_000
_COLUMNS = ", ".join(TOTAL_FIELDS)
_QUARTERS = f"SELECT quarter, payer, asked, answered, first_n, last_n, {_COLUMNS} FROM quarter_total"  # noqa: S608  names of ours
_WHOS = f"SELECT who, first_at, last_at, {_COLUMNS} FROM who_total"  # noqa: S608  as above

_CARRIED = f"SELECT quarter, who, asked, answered, first_at, last_at, {_COLUMNS} FROM carried"  # noqa: S608  as above
#: Dropped calls have no numbers: any span of numbers is wide enough.
_NO_NUMBERS = (2**62, -1)


def every_line(db: sqlite3.Connection, words: Words, call_id: str | None = None) -> Iterator[Entry]:
    """Lines of the book in order, of one call or all."""
    test, values = ("1", ()) if call_id is None else ("{} = ?", (pack_id(call_id),))
    rows = db.execute(f"SELECT * FROM call WHERE {test.format('id')} ORDER BY n", values)  # noqa: S608  fixed texts
    others = db.execute(f"SELECT * FROM entry WHERE {test.format('call_id')} ORDER BY sequence", values)  # noqa: S608  as above
    return in_order((lines_of(db, words, row) for row in rows), (entry_of(db, words, row) for row in others))


def checked(db: sqlite3.Connection, words: Words, tell: Tell | None) -> list[Discrepancy]:
    """Where the file or the book contradicts itself."""
    found = [Discrepancy("file", row[0], "ok") for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    missing = db.execute("PRAGMA foreign_key_check").fetchall()
    found += [Discrepancy(f"{table} {row}", "names a row", f"not in {parent}") for table, row, parent, _ in missing]
    return found if missing else found + _Recomputed(db, words).differences(tell)


class _Recomputed:
    """Sums worked out anew: of accounts from lines, of quarters and runs from calls, of charges from corrections."""

    def __init__(self, db: sqlite3.Connection, words: Words) -> None:
        self._db, self._words = db, words
        self._accounts: dict[str, list[int]] = {}
        self._quarters: dict[tuple[int, ...], list[int]] = {}
        self._whos: dict[int, list[int]] = {}
        self._costs: dict[bytes | str, int] = {}
        self._spans: dict[int, tuple[int, int]] = {}
        self._found: list[Discrepancy] = []

    def differences(self, tell: Tell | None) -> list[Discrepancy]:
        """What the book says otherwise."""
        total = int(self._db.execute("SELECT value FROM meta WHERE key = 'lines'").fetchone()[0])
        done = 0
        for row in self._db.execute("SELECT * FROM entry ORDER BY sequence"):
            self._line(entry_of(self._db, self._words, row))
            self._costs[row["call_id"]] = self._costs.get(row["call_id"], 0) + row["cost_nanos"]
            done += 1
        last = 0
        for row in self._db.execute("SELECT * FROM call ORDER BY n"):
            lines = lines_of(self._db, self._words, row)
            for line in lines:
                self._line(line)
            last = max(last, row["n"], lines[-1].sequence)
            self._call(row)
            done += len(lines)
            if tell is not None and done % _TELL_EVERY < len(lines):
                tell(done, max(done, total))
        if tell is not None:
            tell(done, done)
        if last > total:
            self._found.append(Discrepancy("lines", str(total), str(last)))
        self._take_carried()
        self._compare_accounts()
        self._compare_totals()
        return self._found

    def _take_carried(self) -> None:
        """What stands for calls whose rows were dropped; what was charged for them must still be what was written down then."""
        marked = carried_nanos(self._db)
        if marked is None:
            return
        nanos, cost_at = 0, TOTAL_FIELDS.index("cost_nanos")
        for quarter, who, asked, answered, first_at, last_at, *counts in self._db.execute(_CARRIED):
            key = (quarter, self._words.payer_of(self._db, who), asked, answered)
            _add(self._quarters, key, _NO_NUMBERS, tuple(counts))
            _add(self._whos, who, (first_at, last_at), tuple(counts))
            nanos += counts[cost_at]
        for account, posted, assumed in self._db.execute("SELECT account, posted, assumed FROM carried_account"):
            sums = self._accounts.setdefault(self._words.leg_of(self._db, account).key, [0, 0, 0])
            sums[0] += posted
            sums[2] += assumed
        if nanos != marked:
            self._found.append(Discrepancy("sums of dropped calls", str(nanos), str(marked)))

    def _line(self, line: Entry) -> None:
        for move in line.moves:
            sums = self._accounts.setdefault(move.account_key, [0, 0, 0])
            sums[0] += move.posted
            sums[1] += move.pending
            sums[2] += move.assumed

    def _call(self, row: Any) -> None:
        settlement = calls.settlement_of(self._db, self._words, row)
        if settlement is None:
            return
        cost = settlement.cost_nanos or 0
        if row["flags"] & CORRECTED and self._costs.get(row["id"], 0) != cost:
            self._found.append(Discrepancy(f"call {unpack_id(row['id'])}", str(cost), str(self._costs.get(row["id"], 0))))
        counts = counts_of(calls.kind_of(self._db, self._words, row), row["quote_nanos"], settlement)
        started, who, quarter = row["started_at"], row["who"], row["started_at"] // QUARTER_MICROS
        key = (quarter, self._words.payer_of(self._db, who), row["asked"], row["answered"] or 0)
        _add(self._quarters, key, (row["n"], row["n"]), counts)
        _add(self._whos, who, (started, started), counts)

    def _compare_accounts(self) -> None:
        for row in self._db.execute("SELECT * FROM account ORDER BY title, key"):
            account = account_of(row)
            posted, pending, assumed = self._accounts.pop(account.account.key, (0, 0, 0))
            expected = Balance(posted, pending, assumed, account.balance.leased)
            if expected != account.balance:
                self._found.append(Discrepancy(f"account {account.account.title}", str(account.balance), str(expected)))
        leases = self._db.execute(
            "SELECT account.title, leased, coalesce(sum(rest), 0) AS rests FROM account LEFT JOIN lease "
            "ON account_key = account.key GROUP BY account.key HAVING leased <> rests"
        )
        self._found += [Discrepancy(f"leases of {title}", str(leased), str(rests)) for title, leased, rests in leases]

    def _compare_totals(self) -> None:
        for row in map(tuple, self._db.execute(_QUARTERS)):
            expected = self._quarters.pop(row[:4], None)
            kept = row[6:]
            is_wide = expected is None or (row[4] <= expected[0] and expected[1] <= row[5])
            self._compare("sums of a quarter of an hour", kept, expected, is_right=is_wide)
        for row in map(tuple, self._db.execute(_WHOS)):
            expected = self._whos.pop(row[0], None)
            self._compare("sums of a run", row[3:], expected, is_right=expected is None or list(row[1:3]) == expected[:2])
        for expected in (*self._quarters.values(), *self._whos.values()):
            self._found.append(Discrepancy("sums", "missing", str(Total.of(expected[2:]))))

    def _compare(self, where: str, kept: tuple[int, ...], expected: list[int] | None, *, is_right: bool) -> None:
        counts = tuple(expected[2:]) if expected is not None else (0,) * len(kept)
        if kept != counts:
            self._found.append(Discrepancy(where, str(Total.of(kept)), str(Total.of(counts))))
        elif not is_right:
            self._found.append(Discrepancy(where, "other first or last calls", str(Total.of(counts))))


def _add(sums: dict[Any, list[int]], key: Any, edges: tuple[int, int], counts: tuple[int, ...]) -> None:
    kept = sums.get(key)
    if kept is None:
        sums[key] = [*edges, *counts]
        return
    kept[0], kept[1] = min(kept[0], edges[0]), max(kept[1], edges[1])
    for place, count in enumerate(counts, 2):
        if count:
            kept[place] += count
