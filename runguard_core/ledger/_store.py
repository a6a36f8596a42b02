"""The contract of a store: which verbs there are and what must hold after each.

Laws, checked by one contract suite and one state machine for every store:

1. `reserve` sets aside in *all* accounts or in none; it never makes `posted + pending` exceed an enforced limit.
2. An id has one terminal outcome, except ASSUMED, which a late post turns into POSTED.
3. Every verb may be said twice: the same content answers the same, other content is `ConflictingEntryError`.
4. Balances are the fold of the entries; `pending` and `posted` are never negative and exact integers.
5. `post` records the full actual amount, also above the hold.
6. A hold past its deadline is posted at its quote as ASSUMED; nothing is handed back silently.
7. `void` of an unknown id leaves a tombstone: a reserve of that id that arrives later is refused with `AlreadyVoidedError`.
8. An amount is an `int` in 0 .. 2**62; anything else is `InvalidAmountError` before anything is written.
9. What one process wrote, the next one reads: spend, latches, overrides and events survive a restart (durable stores).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from runguard_core.ledger._accounts import AccountRow, Balance, Hold
from runguard_core.ledger._calls import CallRecord
from runguard_core.ledger._drafts import CallOrDraft, SettlementOrDraft
from runguard_core.ledger._entries import Discrepancy, Entry, Tell
from runguard_core.ledger._events import Event
from runguard_core.ledger._filters import ALL_EVENTS, CallFilter, EventFilter
from runguard_core.ledger._latches import Latch, LimitOverride
from runguard_core.ledger._totals import Total, TotalKey
from runguard_core.values import value


class Applied(StrEnum):
    """What a verb found: it was applied now, it had been applied before, or it corrected an assumption."""

    CREATED = "created"
    EXISTS = "exists"
    LATE = "late"


@value()
class Reserved:
    """The amounts are set aside. `balances` are those after the step, one per hold, in their order."""

    applied: Applied
    balances: tuple[Balance, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was set aside: the first hold (in the caller's order) that did not fit, and its balance."""

    hold: Hold
    balance: Balance


@value()
class Settled:
    """The call is settled. `balances` are those after the step, by account key."""

    applied: Applied
    balances: Mapping[str, Balance]


class Store(Protocol):
    """Where the book is kept. Synchronous; each verb is one atomic step.

    `call` and `settlement` may be drafts: `record()` gives the whole value, and a store asks for it when it writes or reads a
    row, not on the way. Of a draft a verb may read what it has in common with the whole value.

    Every method may raise `StoreUnavailableError`; a damaged or foreign file is `StoreSchemaError` or
    `StoreUnavailableError` with the way out.
    """

    url: str

    def reserve(
        self, call: CallOrDraft, holds: Sequence[Hold], *, expires_at: datetime, owner: str, events: Sequence[Event] = ()
    ) -> Reserved | Refusal:
        """Check every limit and set the amounts aside in one step; overdue holds of others are expired first.

        Raises:
            ConflictingEntryError: the id is known with other content.
            AlreadyVoidedError: the id was voided (or carries a tombstone).
        """
        ...

    def post(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """Replace the hold by what was really spent. After ASSUMED it corrects (`LATE`).

        Raises:
            ConflictingEntryError: posted before with other amounts; AlreadyVoidedError; KeyError: unknown id.
        """
        ...

    def void(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """Hand the hold back, because nothing can have been billed. Unknown ids leave a tombstone.

        Raises:
            AlreadyPostedError: it was posted before.
        """
        ...

    def extend(self, call_ids: Iterable[str], expires_at: datetime) -> int:
        """Move deadlines of pending holds forward (never back); how many were still pending."""
        ...

    def expire(self, now: datetime) -> tuple[CallRecord, ...]:
        """Post every overdue hold at its quote as ASSUMED; the calls concerned, by deadline and id."""
        ...

    def adjust(self, call_id: str, settlement: SettlementOrDraft, reason: str) -> Settled:
        """Correct a settled call by a new entry. KeyError: unknown id; LookupError if it was never settled."""
        ...

    def verify(self, tell: Tell | None = None) -> tuple[Discrepancy, ...]:
        """Recompute balances and totals from what they sum up; empty when the book agrees with itself."""
        ...

    def balances(self, keys: Iterable[str]) -> dict[str, Balance]:
        """Balances by account key; unknown accounts are empty."""
        ...

    def accounts(self) -> tuple[AccountRow, ...]:
        """Every account with its balance and the limit last seen, ordered by title."""
        ...

    def call(self, call_id: str) -> CallRecord | None:
        """One call, None when unknown."""
        ...

    def calls(self, where: CallFilter) -> tuple[CallRecord, ...]:
        """Calls in the order in which they were admitted (oldest first; equal instants by id)."""
        ...

    def totals(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, Total]:
        """Sums of calls by dimensions (see `dimension_of`), as exact as reading each; no dimension: one total under ()."""
        ...

    def costs(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, int]:
        """The `cost_nanos` of `totals`, for less work where there are very many keys."""
        ...

    def sessions(self, where: CallFilter) -> tuple[tuple[str, str], ...]:
        """(app, conversation) of the calls by their latest admission, the newest first (equal instants by name)."""
        ...

    def entries(self, call_id: str | None = None) -> tuple[Entry, ...]:
        """Lines of the book in order, of one call or all."""
        ...

    def announce(self, events: Sequence[Event]) -> int:
        """Append events that speak of no entry; how many were new. One id is one event: who adds an id first has claimed it."""
        ...

    def events(self, where: EventFilter = ALL_EVENTS) -> tuple[Event, ...]:
        """Events in the order in which they were written."""
        ...

    def latches(self) -> Mapping[tuple[str, str], Latch]:
        """Every latch by (scope kind, scope id), as of now, other processes' included. Cheap: asked before every call."""
        ...

    def put_latch(self, latch: Latch, events: Sequence[Event] = ()) -> None:
        """Set or replace a scope's latch; nothing else replaces a person's kill before its time ends. Events are kept anyway."""
        ...

    def drop_latch(self, scope_kind: str, scope_id: str, events: Sequence[Event] = ()) -> bool:
        """Remove it; whether there was one."""
        ...

    def overrides(self) -> Mapping[str, LimitOverride]:
        """Raised and lowered limits by account key, as of now; replaced, never changed. Cheap: asked before every call."""
        ...

    def put_override(self, override: LimitOverride, events: Sequence[Event] = ()) -> None:
        """Set or replace the override of an account."""
        ...

    def close(self) -> None:
        """Let go of files and connections; safe to call twice."""
        ...
