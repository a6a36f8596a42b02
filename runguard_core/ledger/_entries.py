"""The append-only lines of the book, and the arithmetic that turns them into balances."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runguard_core.ledger._accounts import Balance


class EntryKind(StrEnum):
    """The verb that wrote a line."""

    PENDING = "pending"
    POST = "post"
    VOID = "void"
    EXPIRE = "expire"
    ADJUST = "adjust"


@dataclass(frozen=True, slots=True)
class Move:
    """What a line does to one account, in the unit's smallest part."""

    account_key: str
    pending: int
    posted: int
    assumed: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line, written once and never changed; corrections are new lines.

    Attributes:
        sequence: position in the book, from 1.
        call_id: the call it speaks of.
        kind: the verb.
        at: when (UTC).
        moves: what it does, one per account.
        cost_nanos: change of the call's charge in nano-USD.
        reason: why, for corrections and voids.
    """

    sequence: int
    call_id: str
    kind: EntryKind
    at: datetime
    moves: tuple[Move, ...]
    cost_nanos: int = 0
    reason: str = ""


def fold(entries: Iterable[Entry]) -> dict[str, Balance]:
    """Balances recomputed from the lines alone."""
    sums: dict[str, list[int]] = {}
    for entry in entries:
        for move in entry.moves:
            row = sums.setdefault(move.account_key, [0, 0, 0])
            row[0] += move.posted
            row[1] += move.pending
            row[2] += move.assumed
    return {key: Balance(*row) for key, row in sums.items()}


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A place where the book contradicts itself: which row, what it says, what the lines say."""

    where: str
    recorded: str
    recomputed: str


#: Hears how far long work has come: how much is done, how much there is.
Tell = Callable[[int, int], None]
