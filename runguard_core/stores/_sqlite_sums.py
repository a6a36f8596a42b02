"""The sums that a transaction adds to: of accounts, of quarters of an hour, of runs. Collected first, written once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from runguard_core.ledger import TOTAL_FIELDS
from runguard_core.stores._sqlite_packing import Leg

_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in TOTAL_FIELDS)
_PLACES = ", ".join("?" * len(TOTAL_FIELDS))
_COLUMNS = ", ".join(TOTAL_FIELDS)
_QUARTER = (
    f"INSERT INTO quarter_total (quarter, payer, asked, answered, first_n, last_n, {_COLUMNS}) "  # noqa: S608  names of ours
    f"VALUES (?, ?, ?, ?, ?, ?, {_PLACES}) ON CONFLICT (quarter, payer, asked, answered) DO UPDATE SET "
    f"first_n = min(first_n, excluded.first_n), last_n = max(last_n, excluded.last_n), {_ADDED}"
)
_WHO = (
    f"INSERT INTO who_total (who, first_at, last_at, {_COLUMNS}) VALUES (?, ?, ?, {_PLACES}) ON CONFLICT (who) DO UPDATE SET "  # noqa: S608  names of ours
    f"first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at), {_ADDED}"
)
_MOVE = "UPDATE account SET pending = pending + ?, posted = posted + ?, assumed = assumed + ? WHERE id = ?"
_LIMIT = "UPDATE account SET shown_limit = ? WHERE id = ? AND shown_limit IS NOT ?"
QUARTER_MICROS = 15 * 60 * 1_000_000

#: Quarter, payer, asked, answered.
QuarterKey = tuple[int, int, int, int]


class Sums:
    """What one transaction adds."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._moves: dict[int, list[Any]] = {}
        self._limits: dict[int, int | None] = {}
        self._quarters: dict[QuarterKey, list[tuple[int, ...]]] = {}
        self._whos: dict[int, list[tuple[int, ...]]] = {}

    def move(self, leg: Leg, pending: int, posted: int, assumed: int = 0) -> None:
        """Change an account's sums."""
        found = self._moves.get(leg.id)
        if found is None:
            self._moves[leg.id] = [pending, posted, assumed, leg.id, leg.key]
        else:
            found[0] += pending
            found[1] += posted
            found[2] += assumed

    def limit(self, leg: Leg, shown_limit: int | None) -> None:
        """Remember the limit last seen."""
        self._limits[leg.id] = shown_limit

    def call(self, n: int, started: int, who: int, key: QuarterKey, counts: tuple[int, ...], *, sign: int = 1) -> None:
        """One settled call more, or (sign -1) what it was before it was corrected; `started` in microseconds."""
        if sign < 0:
            counts = tuple([-count for count in counts])
        self._quarters.setdefault(key, []).append((n, *counts))
        self._whos.setdefault(who, []).append((started, *counts))

    def moved(self) -> Mapping[str, int]:
        """By account key: how much more is posted or pending."""
        return {key: pending + posted for pending, posted, _, _, key in self._moves.values()}

    def write(self, db: sqlite3.Connection) -> None:
        """Add them to the tables, and begin anew."""
        if self._moves:
            db.executemany(_MOVE, [found[:4] for found in self._moves.values()])
        if self._limits:
            db.executemany(_LIMIT, [(limit, number, limit) for number, limit in self._limits.items()])
        if self._quarters:
            db.executemany(_QUARTER, [(*key, *_summed(added)) for key, added in self._quarters.items()])
            db.executemany(_WHO, [(who, *_summed(added)) for who, added in self._whos.items()])
        self.__init__()  # type: ignore[misc]  # empty again


def _summed(added: list[tuple[int, ...]]) -> list[Any]:
    """Lowest and highest of the first column, the sums of the others."""
    columns = list(zip(*added, strict=True))
    return [min(columns[0]), max(columns[0]), *map(sum, columns[1:])]
