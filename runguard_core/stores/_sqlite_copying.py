"""Writing calls and lines of another ledger as they are, numbers kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from runguard_core.ledger import Account, CallRecord, Entry, Hold, counts_of
from runguard_core.stores import _sqlite_calls as calls
from runguard_core.stores import _sqlite_rows as rows
from runguard_core.stores._sqlite_packing import CORRECTED, fit, pack_id
from runguard_core.stores._sqlite_pen import Pen
from runguard_core.stores._sqlite_sums import QUARTER_MICROS


class Copier(Pen):
    """A pen that moves no account: those are copied by themselves."""

    def copy(self, call: CallRecord, holds: Sequence[Hold], lines: Sequence[Entry], expires_at: datetime, owner: str) -> None:
        """A call of another ledger with its lines, numbers kept; accounts are copied by themselves, so their sums stay."""
        (who, payer), (chain, legs) = self.words.who(self.db, call), self.words.chain(self.db, holds)
        settlement, n = call.settlement, lines[0].sequence
        from_cache = settlement is not None and settlement.from_cache
        opening = calls.opening_row(self.db, self.words, n, call, holds, chain, who, from_cache=from_cache)
        if settlement is None:
            self.pending.append((*opening, 0, rows.micros_of(expires_at), fit(owner)))
            return
        started, held, closing = opening[2], [hold.amount for hold in holds], lines[1].sequence - n
        self.closed.append(opening + calls.closing_row(self.db, self.words, call.state, closing, started, legs, held, settlement))
        answered = self.words.word(self.db, settlement.model_answered) or 0
        key = (started // QUARTER_MICROS, payer, opening[4], answered)
        self.sums.call(n, started, who, key, counts_of(call.kind, call.quote_nanos, settlement))
        if len(lines) > 2:
            self.write_calls()
            self.db.execute("UPDATE call SET flags = flags | ? WHERE n = ?", (CORRECTED, n))
            for line in lines[1:]:
                self.copy_line(line, {hold.account.key: hold.account for hold in holds})

    def copy_line(self, line: Entry, accounts: Mapping[str, Account]) -> None:
        """A line of its own of another ledger, its number kept, its accounts as they are."""
        legs = [self.words.leg(self.db, accounts[move.account_key]) for move in line.moves]
        moves = [(leg.id, move.pending, move.posted, move.assumed) for leg, move in zip(legs, line.moves, strict=True)]
        self.insert_entry(line.sequence, pack_id(line.call_id), line.kind, line.at, moves, line.cost_nanos, line.reason)
