"""The book: accounts, holds, entries, calls, and the contract of the store that keeps them."""

from runguard_core.ledger._accounts import Account, AccountRow, Balance, Hold, Unit
from runguard_core.ledger._calls import CallRecord, CallState, Settlement
from runguard_core.ledger._drafts import CallDraft, CallOrDraft, SettlementDraft, SettlementOrDraft
from runguard_core.ledger._entries import Discrepancy, Entry, EntryKind, Move, Tell, fold
from runguard_core.ledger._events import Event
from runguard_core.ledger._filters import ALL_EVENTS, CallFilter, EventFilter
from runguard_core.ledger._fleet import FleetStore, Parcel, Source
from runguard_core.ledger._keeping import ForgettingStore, Forgotten, KeepingStore, Pruned
from runguard_core.ledger._latches import Latch, LatchState, LimitOverride
from runguard_core.ledger._leasing import Granted, Heard, LeaseBackend, LeaseVerb, Owner, ReserveVerb, SettleVerb, Want
from runguard_core.ledger._store import Applied, Refusal, Reserved, Settled, Store
from runguard_core.ledger._totals import (
    TOTAL_FIELDS,
    Total,
    TotalKey,
    conversation_of,
    costs_of,
    counts_of,
    dimension_of,
    latest_sessions,
    model_of,
    quarter_hour_of,
    total_of,
    totals_of,
)

__all__ = [
    "ALL_EVENTS",
    "TOTAL_FIELDS",
    "Account",
    "AccountRow",
    "Applied",
    "Balance",
    "CallDraft",
    "CallFilter",
    "CallOrDraft",
    "CallRecord",
    "CallState",
    "Discrepancy",
    "Entry",
    "EntryKind",
    "Event",
    "EventFilter",
    "FleetStore",
    "ForgettingStore",
    "Forgotten",
    "Granted",
    "Heard",
    "Hold",
    "KeepingStore",
    "Latch",
    "LatchState",
    "LeaseBackend",
    "LeaseVerb",
    "LimitOverride",
    "Move",
    "Owner",
    "Parcel",
    "Pruned",
    "Refusal",
    "ReserveVerb",
    "Reserved",
    "SettleVerb",
    "Settled",
    "Settlement",
    "SettlementDraft",
    "SettlementOrDraft",
    "Source",
    "Store",
    "Tell",
    "Total",
    "TotalKey",
    "Unit",
    "Want",
    "conversation_of",
    "costs_of",
    "counts_of",
    "dimension_of",
    "fold",
    "latest_sessions",
    "model_of",
    "quarter_hour_of",
    "total_of",
    "totals_of",
]
