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


@dataclass(slots=True)
class Line:
    """One line of the book. Its moves follow from holds and settlements and are worked out when read, apart from the balances."""

    known: KeptCall
    kind: EntryKind
    was: CallState = CallState.PENDING
    before: SettlementOrDraft | None = None
    after: SettlementOrDraft | None = None
    reason: str = ""

    def entry(self, sequence: int) -> Entry:
        """The line as readers see it."""
        call, before, after = self.known.call, self.before, self.after
        if after is None:
            moves = [Move(hold.account.key, hold.amount, 0) for hold in self.known.holds]
            return Entry(sequence, call.id, self.kind, call.started_at, tuple(moves))
        cost = (after.cost_nanos or 0) - ((before.cost_nanos or 0) if before is not None else 0)
        return Entry(sequence, call.id, self.kind, after.at, tuple(map(self._move, self.known.holds)), cost, self.reason)

    def _move(self, hold: Hold) -> Move:
        key = hold.account.key
        now = self.after.amounts.get(key, 0) if self.after is not None else 0
        old = self.before.amounts.get(key, 0) if self.before is not None else 0
        assumed = (now if self.kind is EntryKind.EXPIRE else 0) - (old if self.was is CallState.ASSUMED else 0)
        return Move(key, -hold.amount if self.was is CallState.PENDING else 0, now - old, assumed)
