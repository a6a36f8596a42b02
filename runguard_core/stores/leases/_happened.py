"""What has happened to calls that leases have paid for, and has not been told to the book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from runguard_core.ledger import CallOrDraft, Event, Hold, LeaseVerb, ReserveVerb, SettlementOrDraft, SettleVerb
from runguard_core.stores.leases._slices import Slice
from runguard_core.stores.leases._writing import ASSUME, VOID


class Seen:
    """Ids that the book knows because they passed here: the latest, so many at least and twice as many at most."""

    __slots__ = ("before", "latest")
    _AT_LEAST = 16_384

    def __init__(self) -> None:
        self.latest: set[str] = set()
        self.before: set[str] = set()

    def add(self, call_id: str) -> None:
        """It passed."""
        self.latest.add(call_id)
        if len(self.latest) > self._AT_LEAST:
            self.before, self.latest = self.latest, set()

    def __contains__(self, call_id: str) -> bool:
        """Whether it has."""
        return call_id in self.latest or call_id in self.before


class Open:
    """A call in flight that leases have paid for; `ended` as soon as its end is being written."""

    __slots__ = ("amounts", "book_id", "call", "ended", "expires_at", "holds", "touched")

    def __init__(
        self, call: CallOrDraft, holds: Sequence[Hold], touched: tuple[Slice, ...], amounts: list[int], expires_at: datetime
    ) -> None:
        self.call, self.holds, self.touched, self.amounts, self.expires_at = call, holds, touched, amounts, expires_at
        self.book_id, self.ended = call.id, False


#: What has happened: the place behind its record; the call; how it ended (None: it began); POST, VOID or ASSUME; events.
Happened = tuple[int, Open, SettlementOrDraft | None, int, Sequence[Event]]


@dataclass(slots=True, eq=False)
class Batch:
    """What one settle tells the book.

    Attributes:
        happened: in order; offset: the place behind the last.
        keep: what we still claim, by account key; owed: what is below nothing until the book has heard of it.
        is_whole: nothing had been left out when it was cut; is_again: it has been said before, nobody knows with what success.
    """

    offset: int
    happened: list[Happened]
    keep: dict[str, int]
    owed: dict[Slice, int] = field(default_factory=dict)
    is_whole: bool = True
    is_again: bool = False

    def verbs(self) -> list[LeaseVerb]:
        """As the book hears them."""
        return [_verb(*one[1:]) for one in self.happened]


def _verb(it: Open, settlement: SettlementOrDraft | None, verb: int, events: Sequence[Event]) -> LeaseVerb:
    if settlement is None:
        return ReserveVerb(it.call, tuple(it.holds), it.expires_at, tuple(events))
    return SettleVerb(it.book_id, settlement, verb == VOID, verb == ASSUME, tuple(events))


def changes(happened: list[Happened]) -> list[tuple[Slice, int, int]]:
    """What verbs do to pending and posted, account by account."""
    found = []
    for _, it, settlement, verb, _ in happened:
        for one, held in zip(it.touched, it.amounts, strict=True):
            if settlement is None:
                found.append((one, held, 0))
            else:
                found.append((one, -held, 0 if verb == VOID else settlement.amounts.get(one.key, 0)))
    return found
