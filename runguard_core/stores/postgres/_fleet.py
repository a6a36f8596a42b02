"""`PostgresFleet`: the ledger of a fleet. Other ledgers are shipped into it beside what is written here directly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from runguard_core.errors import ConflictingEntryError
from runguard_core.ledger import CallRecord, Entry, EntryKind, Parcel, Source
from runguard_core.stores._sqlite_rows import instant_of, micros, to_json
from runguard_core.stores.postgres import _rows as rows
from runguard_core.stores.postgres._leasing import CONTRADICTION, PostgresLeases

_SHIP = "SELECT ship(%s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb)"
_SAID = {
    "copied": "a line of the same number was shipped with another call: a copy of this ledger went on elsewhere, or an old copy "
    "was put back; ship one of them only",
    "foreign": "it is in this ledger already, and not from there",
}


class PostgresFleet(PostgresLeases):
    """A `FleetStore`."""

    def ledger_id(self) -> str:
        """The id of this ledger, made with it."""
        return str(self._all("SELECT value FROM meta WHERE key = 'ledger'")[0].value)

    def receive(self, parcel: Parcel) -> int:
        """See `FleetStore.receive`."""
        accounts = {row.account.key: row.account for row in parcel.accounts.values()}
        numbers = self._numbers(accounts, [])
        source = parcel.source
        documents = (
            rows.document({
                "ledger": source.ledger, "host": source.host, "place": source.place, "line": source.line,
                "shipped_at": micros(source.shipped_at),
            }),
            rows.document([_call_document(call, parcel.lines[call.id][0], numbers) for call in parcel.calls]),
            rows.document(_line_documents(parcel, numbers)),
            rows.document([{"id": numbers[key], "shown": row.limit} for key, row in parcel.accounts.items()]),
            rows.document(rows.event_documents(parcel.events)) if parcel.events else None,
        )  # fmt: skip
        try:
            found = self._connections.run(lambda link: _ship(link, documents))
        finally:
            self._wrote(len(parcel.calls))
        return found

    def sources(self) -> tuple[Source, ...]:
        """See `FleetStore.sources`."""
        found = self._all("SELECT ledger, host, place, line, shipped_at FROM source ORDER BY host, place, ledger")
        return tuple([Source(**{**row._asdict(), "shipped_at": instant_of(row.shipped_at)}) for row in found])


def _ship(link: psycopg.Connection[Any], documents: Sequence[Any]) -> int:
    try:
        return int(link.execute(_SHIP, documents).fetchone()[0])  # type: ignore[index]  # a function answers with a row
    except psycopg.DatabaseError as error:
        if error.sqlstate != CONTRADICTION:
            raise
        raise ConflictingEntryError(error.diag.message_detail or "", _SAID[error.diag.message_primary or ""]) from None


def _call_document(call: CallRecord, first: Entry, numbers: Mapping[str, int]) -> dict[str, Any]:
    row = rows.call_document(call) | {
        "state": call.state.value,
        "accounts": [numbers[move.account_key] for move in first.moves],
        "held": [move.pending for move in first.moves],
    }
    if call.settlement is None:
        return row
    amounts = dict(call.settlement.amounts)
    row |= rows.settled_document(call.settlement)
    row["amounts"] = [amounts.pop(move.account_key, None) for move in first.moves]
    if amounts:
        row["other_amounts"] = to_json(amounts)
    return row


def _line_documents(parcel: Parcel, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    known = {call.id for call in parcel.calls}
    return [_line_document(line, numbers, has_call=call_id in known) for call_id, lines in parcel.lines.items() for line in lines]


def _line_document(line: Entry, numbers: Mapping[str, int], *, has_call: bool) -> dict[str, Any]:
    row = {
        "line": line.sequence, "call_id": line.call_id, "at": micros(line.at), "cost_nanos": line.cost_nanos,
        "kind": line.kind.value, "reason": line.reason or None, "was_pending": any(move.pending < 0 for move in line.moves),
    }  # fmt: skip
    if not has_call:
        row["accounts"] = [numbers[move.account_key] for move in line.moves]
    if line.kind is not EntryKind.PENDING:
        row["posted"] = [move.posted for move in line.moves]
        row["assumed"] = [move.assumed for move in line.moves] if any(move.assumed for move in line.moves) else None
    return row
