"""Verbs of a journal as the documents that one function takes: calls with their ends where both are in the batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runguard_core.ledger import Account, CallState, EntryKind, Event, LeaseVerb, ReserveVerb, SettleVerb
from runguard_core.stores._sqlite_rows import micros, to_json
from runguard_core.stores.postgres import _rows as rows


@dataclass(slots=True)
class Batch:
    """What is to be entered and settled in one step.

    Attributes:
        calls: rows of new calls by id; one that has ended carries its end twice, as columns and for the case that it is known.
        pending: deadlines of those that have not ended, by id.
        ends: of calls that were entered before.
        shown: the limit that people should see, by the account's number.
        events: what is announced with them.
    """

    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    ends: list[dict[str, Any]] = field(default_factory=list)
    shown: dict[int, int | None] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def documents(self) -> tuple[str, str, str, str, str | None]:
        """JSON, in the order of the functions' last five parameters."""
        return (
            rows.document(list(self.calls.values())),
            rows.document([{"id": call_id, "expires_at": at} for call_id, at in self.pending.items()]),
            rows.document(self.ends),
            rows.document([{"id": number, "shown": shown} for number, shown in self.shown.items()]),
            rows.document(rows.event_documents(self.events)) if self.events else None,
        )


def accounts_of(verbs: Iterable[LeaseVerb]) -> dict[str, Account]:
    """The accounts that reserves name, by key."""
    return {hold.account.key: hold.account for verb in verbs if isinstance(verb, ReserveVerb) for hold in verb.holds}


def batch_of(verbs: Sequence[LeaseVerb], numbers: Mapping[str, int]) -> Batch:
    """Verbs in order. `numbers`: of their accounts, by key."""
    batch, keys = Batch(), dict[str, list[str]]()
    for verb in verbs:
        batch.events.extend(verb.events)
        if isinstance(verb, ReserveVerb):
            keys[verb.call.id] = [hold.account.key for hold in verb.holds]
            _enter(batch, verb, numbers)
        else:
            _end(batch, verb, keys.get(verb.call_id, []))
    return batch


def _enter(batch: Batch, verb: ReserveVerb, numbers: Mapping[str, int]) -> None:
    row = rows.call_document(verb.call.record())
    row["state"] = CallState.PENDING.value
    row["accounts"] = [numbers[hold.account.key] for hold in verb.holds]
    row["held"] = [hold.amount for hold in verb.holds]
    batch.calls[verb.call.id] = row
    batch.pending[verb.call.id] = micros(verb.expires_at) or 0
    for number, hold in zip(row["accounts"], verb.holds, strict=True):
        batch.shown[number] = hold.shown_limit


def _end(batch: Batch, verb: SettleVerb, keys: Sequence[str]) -> None:
    end = _end_document(verb)
    row = batch.calls.get(verb.call_id)
    if row is None or verb.call_id not in batch.pending:
        batch.ends.append(end)
        return
    del batch.pending[verb.call_id]
    amounts = dict(end["amounts"])
    row |= end["settled"] | {"state": end["state"], "amounts": [amounts.pop(key, None) for key in keys], "end": end}
    if amounts:
        row["other_amounts"] = to_json(amounts)


def _end_document(verb: SettleVerb) -> dict[str, Any]:
    settlement = verb.settlement.record()
    reason: str | None = settlement.note
    if verb.is_assumed:
        kind, state, reason = EntryKind.EXPIRE, CallState.ASSUMED, None
    elif verb.is_void:
        settlement = replace(settlement, amounts={}, cost_nanos=0)
        kind, state, reason = EntryKind.VOID, CallState.VOIDED, settlement.note or settlement.error
    else:
        kind, state = EntryKind.POST, CallState.POSTED
    return {
        "id": verb.call_id, "kind": kind.value, "state": state.value, "reason": reason,
        "settled": rows.settled_document(settlement), "amounts": dict(settlement.amounts),
    }  # fmt: skip
