"""`SqliteFleet`: a file that other ledgers are merged into; and the id that every file has."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty, OutcomeKind
from runguard_core.ids import new_id
from runguard_core.ledger import (
    AccountRow,
    CallRecord,
    CallState,
    Entry,
    Hold,
    Parcel,
    Settlement,
    Source,
)
from runguard_core.stores._sqlite import SqliteStore
from runguard_core.stores._sqlite_rows import instant_of, micros

_log = logging.getLogger("runguard")
_PREFIX = "source:"
#: A call in flight elsewhere is settled by the ledger it comes from, not by a deadline here.
_FOR_EVER = timedelta(days=36_500)


class SqliteFleet(SqliteStore):
    """A `FleetStore` in a file. Each call is brought to where it stands by this store's own verbs, a parcel in one transaction.

    What a crash left assumed elsewhere is posted here with that certainty, and is no part of an account's assumed sum.
    """

    def ledger_id(self) -> str:
        """The id of this ledger; made when it is asked for first, and kept in it."""
        with self._connections.writing() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('ledger', ?)", (new_id(),))
            return str(db.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()[0])

    def receive(self, parcel: Parcel) -> int:
        """See `FleetStore.receive`."""
        source, count = parcel.source, 0
        with self.together():
            known = next((one for one in self.sources() if one.ledger == source.ledger), source)
            if source.line > known.line or known is source:  # else all of it is here, and may be newer here
                calls = {call.id: call for call in parcel.calls}
                for call_id, lines in parcel.lines.items():
                    if known is not source and lines[0].sequence <= known.line and self.call(call_id) is None:
                        _log.warning("a correction of call %s came after its row was dropped here: passed over", call_id)
                        continue
                    count += self._bring(calls.get(call_id) or _lost_lease(lines), lines, parcel)
            self.announce(parcel.events)
            latest = max(source.shipped_at, known.shipped_at)
            self._remember(replace(source, line=max(source.line, known.line), shipped_at=latest))
        return count

    def sources(self) -> tuple[Source, ...]:
        """See `FleetStore.sources`."""
        found = self._all("SELECT value FROM meta WHERE key LIKE 'source:%'")
        rows = [json.loads(row[0]) for row in found]
        sources = [Source(**{**row, "shipped_at": instant_of(row["shipped_at"])}) for row in rows]
        return tuple(sorted(sources, key=lambda source: (source.host, source.place, source.ledger)))

    def _remember(self, source: Source) -> None:
        row = {
            "ledger": source.ledger, "host": source.host, "place": source.place, "line": source.line,
            "shipped_at": micros(source.shipped_at),
        }  # fmt: skip
        with self._connections.writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_PREFIX + source.ledger, json.dumps(row)))

    def _bring(self, call: CallRecord, lines: Sequence[Entry], parcel: Parcel) -> int:
        """Bring a call to where it stands elsewhere; how many lines that took."""
        here = self.call(call.id)
        count = 0
        if here is None:
            opened = replace(call, state=CallState.PENDING, settlement=None)
            holds = _holds(lines, parcel)
            self.reserve(opened, holds, expires_at=call.started_at + _FOR_EVER, owner=_PREFIX + parcel.source.ledger)
            here, count = opened, 1
        if call.settlement is None or call.settlement == here.settlement:
            return count
        if here.state is CallState.PENDING:
            (self.void if call.state is CallState.VOIDED else self.post)(call.id, call.settlement)
        else:
            self.adjust(call.id, call.settlement, lines[-1].reason or lines[-1].kind.value)
        return count + 1


def _holds(lines: Sequence[Entry], parcel: Parcel) -> list[Hold]:
    return [_hold(parcel.accounts[move.account_key], max(move.pending, 0)) for move in lines[0].moves]


def _hold(row: AccountRow, amount: int) -> Hold:
    return Hold(row.account, amount, None, row.limit)


def _lost_lease(lines: Sequence[Entry]) -> CallRecord:
    """What was posted for the leases of a process that was lost: a line of no call there, a call of its own here."""
    line = lines[0]
    settlement = Settlement(
        at=line.at, outcome=OutcomeKind.UNKNOWN, amounts={move.account_key: move.posted for move in line.moves},
        certainty=Certainty.ASSUMED, note=line.reason,
    )  # fmt: skip
    return CallRecord(
        id=line.call_id, kind=CallKind.CHILD, name="lost lease", attribution=Attribution(app="runguard"), started_at=line.at,
        state=CallState.POSTED, settlement=settlement,
    )  # fmt: skip
