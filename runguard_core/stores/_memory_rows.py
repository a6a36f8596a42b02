"""What the memory store keeps: accounts with their running sums, calls with their drafts, lines of the book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runguard_core.ledger import (
    Account,
    Balance,
    CallOrDraft,
    CallRecord,
    CallState,
    Entry,
    EntryKind,
    Hold,
    Move,
    SettlementOrDraft,
)


@dataclass(slots=True)
class KeptAccount:
    """One counter."""

    account: Account
    posted: int = 0
    pending: int = 0
    assumed: int = 0
    limit: int | None = None

    def balance(self) -> Balance:
        """Its sums now."""
        return Balance(self.posted, self.pending, self.assumed)


@dataclass(slots=True)
class KeptCall:
    """One call: as it was admitted, what it holds, how it ended."""

    call: CallOrDraft
    holds: Sequence[Hold]
    expires_at: datetime
    state: CallState = CallState.PENDING
    settlement: SettlementOrDraft | None = None

    def record(self) -> CallRecord:
        """The call as it stands."""
        call = self.call.record()
        if self.settlement is None:
            return call
        return replace(call, state=self.state, settlement=self.settlement.record())


#: A line of the book: the call; the verb; where the call stood and how it was settled before; how it is now; why.
#: The line of a reserve is the call alone.
Line = tuple[KeptCall, EntryKind, CallState, SettlementOrDraft | None, SettlementOrDraft, str]


def call_of(line: Line | KeptCall) -> KeptCall:
    """The call that a line speaks of."""
    return line if isinstance(line, KeptCall) else line[0]


def entry_of(sequence: int, line: Line | KeptCall) -> Entry:
    """A line as readers see it. Its moves follow from holds and settlements: worked out here, apart from the balances."""
    if isinstance(line, KeptCall):
        moves = tuple([Move(hold.account.key, hold.amount, 0) for hold in line.holds])
        return Entry(sequence, line.call.id, EntryKind.PENDING, line.call.started_at, moves)
    known, kind, was, before, after, reason = line
    cost = (after.cost_nanos or 0) - ((before.cost_nanos or 0) if before is not None else 0)
    moves = tuple([_move(hold, kind, was, before, after) for hold in known.holds])
    return Entry(sequence, known.call.id, kind, after.at, moves, cost, reason)


def _move(hold: Hold, kind: EntryKind, was: CallState, before: SettlementOrDraft | None, after: SettlementOrDraft) -> Move:
    key = hold.account.key
    now, old = after.amounts.get(key, 0), before.amounts.get(key, 0) if before is not None else 0
    assumed = (now if kind is EntryKind.EXPIRE else 0) - (old if was is CallState.ASSUMED else 0)
    return Move(key, -hold.amount if was is CallState.PENDING else 0, now - old, assumed)
