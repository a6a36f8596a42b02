"""The lines of the book, read from the rows that stand for them.

A call's row is its first line and, while nobody has corrected it, the line that closed it. Corrections, and the closing lines of
calls that were corrected, stand in `entry`. All of them are numbered in the order in which they were written.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from runguard_core.ledger import CallState, Entry, EntryKind, Move, Settlement
from runguard_core.stores import _sqlite_calls as calls
from runguard_core.stores._sqlite_packing import CLOSING_KINDS, CORRECTED, unpack_id
from runguard_core.stores._sqlite_rows import instant_of
from runguard_core.stores._sqlite_words import Words


def closing_reason(state: CallState, settlement: Settlement) -> str:
    """Why, as the line that closed a call says it."""
    if state is CallState.VOIDED:
        return settlement.note or settlement.error or ""
    return settlement.note or "" if state is CallState.POSTED else ""


def lines_of(db: sqlite3.Connection, words: Words, row: Any) -> list[Entry]:
    """The lines that a call's row stands for: one, or two."""
    legs, held = calls.held_of(db, words, row)
    call_id, n, state = unpack_id(row["id"]), row["n"], calls.state_of(row)
    moves = tuple([Move(leg.key, amount, 0) for leg, amount in zip(legs, held, strict=True)])
    lines = [Entry(n, call_id, EntryKind.PENDING, instant_of(row["started_at"]), moves)]
    settlement = calls.settlement_of(db, words, row)
    if settlement is None or row["flags"] & CORRECTED:
        return lines
    closed = []
    for leg, amount in zip(legs, held, strict=True):
        actual = settlement.amounts.get(leg.key, 0)
        closed.append(Move(leg.key, -amount, actual, actual if state is CallState.ASSUMED else 0))
    reason, cost = closing_reason(state, settlement), settlement.cost_nanos or 0
    lines.append(Entry(n + row["closing"], call_id, CLOSING_KINDS[state], settlement.at, tuple(closed), cost, reason))
    return lines


def moves_text(moves: Iterable[Sequence[int]]) -> str:
    """Moves as they stand in `entry`: account id, pending, posted, assumed."""
    return json.dumps([list(move) for move in moves], separators=(",", ":"))


def entry_of(db: sqlite3.Connection, words: Words, row: Any) -> Entry:
    """A line of its own."""
    moves = tuple([Move(words.leg_of(db, account).key, *amounts) for account, *amounts in json.loads(row["moves"])])
    return Entry(
        row["sequence"], unpack_id(row["call_id"]), EntryKind(row["kind"]), instant_of(row["at"]), moves, row["cost_nanos"],
        row["reason"],
    )  # fmt: skip


def in_order(lines: Iterable[list[Entry]], others: Iterable[Entry]) -> Iterator[Entry]:
    """All lines by their number: those of calls, by call in the order of their first lines, and those of their own, in order.

    Holds no more of them at once than there were calls in flight.
    """
    return heapq.merge(_unfolded(lines), others, key=lambda line: line.sequence)


def _unfolded(lines: Iterable[list[Entry]]) -> Iterator[Entry]:
    waiting: list[tuple[int, Entry]] = []
    for first, *closed in lines:
        while waiting and waiting[0][0] < first.sequence:
            yield heapq.heappop(waiting)[1]
        yield first
        for line in closed:
            heapq.heappush(waiting, (line.sequence, line))
    while waiting:
        yield heapq.heappop(waiting)[1]
