"""`ship`: what is new in one ledger, into another, in parcels that arrive whole or not at all.

Progress is kept where the parcels arrive, in the same transaction; so a run may be killed anywhere, repeated, or run twice at
once. Lines say what is new: corrections of calls that were shipped long ago have new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from runguard_core.ledger import AccountRow, CallRecord, Entry, EntryKind, Event, EventFilter, FleetStore, Parcel, Source, Store

#: Calls in one parcel.
_PARCEL_CALLS = 500
#: Events that were written late carry an earlier time than what was shipped before: so far back they are looked for again.
_EVENTS_AGAIN = timedelta(days=1)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Shipped:
    """What a run did: lines that were new at the other end, calls they belong to, of how many lines in the ledger."""

    source: Source
    line_count: int
    call_count: int


def ship(ledger: Store, ledger_id: str, into: FleetStore, *, host: str, at: datetime, tell: Progress | None = None) -> Shipped:
    """Bring a ledger's news into the ledger of a fleet.

    Args:
        ledger: whose; ledger_id: its id; host: where it is; at: now (UTC).
        tell: called after every parcel with the calls shipped so far and of how many.

    Raises:
        ConflictingEntryError: the ledger was copied, and both copies were shipped; see `FleetStore.receive`.
        StoreError: one of them cannot be used. What has arrived stays, the next run goes on from there.
    """
    before = next((source for source in into.sources() if source.ledger == ledger_id), None)
    source = Source(ledger=ledger_id, host=host, place=ledger.url, line=before.line if before else 0, shipped_at=at)
    since = before.shipped_at - _EVENTS_AGAIN if before else None
    lines, events = ledger.entries(), ledger.events(EventFilter(since=since))
    changed = list(dict.fromkeys(line.call_id for line in lines if line.sequence > source.line))
    line_count = 0
    for done, parcel in _parcels(ledger, source, lines, changed, events):
        line_count += into.receive(parcel)
        source = parcel.source
        if tell is not None:
            tell(done, len(changed))
    return Shipped(source, line_count, len(changed))


def _parcels(
    ledger: Store, source: Source, lines: Sequence[Entry], changed: Sequence[str], events: Sequence[Event]
) -> Iterator[tuple[int, Parcel]]:
    """Parcels with how many calls are shipped after each. The last one carries the events and the last line's number."""
    by_call: dict[str, list[Entry]] = {call_id: [] for call_id in changed}
    for line in lines:
        if line.call_id in by_call:
            by_call[line.call_id].append(line)
    accounts = {row.account.key: row for row in ledger.accounts()}
    last = lines[-1].sequence if lines else source.line
    for start in range(0, max(len(changed), 1), _PARCEL_CALLS):
        some = changed[start : start + _PARCEL_CALLS]
        is_last = start + _PARCEL_CALLS >= len(changed)
        # calls come by their first new line: up to the one before the next call's, everything has been shipped
        upto = last if is_last else _first_after(by_call[changed[start + _PARCEL_CALLS]], source.line) - 1
        calls = _calls(ledger, some, by_call)
        its_lines = {call_id: by_call[call_id] for call_id in some}
        touched = _touched(accounts, some, by_call)
        parcel = Parcel(replace(source, line=upto), calls, its_lines, touched, events if is_last else ())
        yield start + len(some), parcel


def _first_after(lines: Sequence[Entry], number: int) -> int:
    return next(line.sequence for line in lines if line.sequence > number)


def _touched(
    accounts: Mapping[str, AccountRow], some: Sequence[str], by_call: Mapping[str, Sequence[Entry]]
) -> dict[str, AccountRow]:
    keys = dict.fromkeys(move.account_key for call_id in some for line in by_call[call_id] for move in line.moves)
    return {key: accounts[key] for key in keys}


def _calls(ledger: Store, some: Sequence[str], by_call: dict[str, list[Entry]]) -> list[CallRecord]:
    """The calls as their lines leave them. One that went on since the lines were read is read again, line and all."""
    found = []
    for call_id in some:
        call = ledger.call(call_id)
        if call is None:
            continue  # the line of a lost lease
        while not _agree(call, by_call[call_id]):
            by_call[call_id] = list(ledger.entries(call_id))
            call = ledger.call(call_id) or call
        found.append(call)
    return found


def _agree(call: CallRecord, lines: Sequence[Entry]) -> bool:
    """Whether a call is as its lines say."""
    is_over = lines[-1].kind is not EntryKind.PENDING
    return (call.settlement is not None) == is_over and call.cost_nanos == sum(line.cost_nanos for line in lines)
