"""Leases: how a process spends slices of shared accounts in memory, and what a store must offer for it.

A process (an `Owner`) takes a slice of each account it needs in one durable step (`grant`) and spends it without asking
again. Every verb is in its journal before the caller goes on; now and then the journal's new part is applied to the store in
one transaction (`settle`), together with the place up to which it has been applied, so that nothing is applied twice. When
the owner dies anybody applies the rest of its journal and takes its leases back (`recover`).

Laws, on top of those of a store:

1. `grant` never makes `posted + pending + leased` exceed the limit it names; it is durable against power loss when it returns.
2. What an owner spends in an account it has leased comes out of its lease: pending and posted grow, leased shrinks.
3. Verbs up to an offset that was applied before are not applied again, by `settle` or `recover`.
4. A lease whose owner is lost with its journal (power loss, another host's deadline) is posted as assumed, not handed back.
5. After `recover` the owner holds nothing: no pending call, no lease; a `settle` it sends later is refused (`LeaseLostError`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from runguard_core.ledger._accounts import Account, Balance, Hold
from runguard_core.ledger._calls import CallRecord
from runguard_core.ledger._drafts import CallOrDraft, SettlementOrDraft
from runguard_core.ledger._events import Event
from runguard_core.ledger._store import Refusal, Store
from runguard_core.values import value


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process that spends leases.

    Attributes:
        id: made by the process; also the `owner` of its holds.
        host: where it runs; who is elsewhere cannot read its journal.
        boot_id: of that host when it enlisted; another one now means that the journal may have lost its end.
        journal: path of its journal there.
        applied: up to where the journal is in the store, in bytes.
        deadline: when other hosts may give it up (UTC); moved by every settle.
    """

    id: str
    host: str
    boot_id: str
    journal: str
    applied: int
    deadline: datetime


@value()
class Want:
    """A slice that a process asks for: at least `need`, at best `want`, below `limit`; all in the unit's smallest part."""

    account: Account
    need: int
    want: int
    limit: int
    shown_limit: int | None = None


@value()
class Granted:
    """Every want is met, if not in full. By account key: the amounts, and the balances after the step (leases included)."""

    amounts: Mapping[str, int]
    balances: Mapping[str, Balance]


@value()
class Heard:
    """The book has heard a part of a journal.

    By account key: the balances of the accounts touched or kept, and what the owner has now of each account it keeps. That is
    less than it claimed where somebody else has ended a call of its own: what the call left has gone to the account.
    """

    balances: Mapping[str, Balance]
    rests: Mapping[str, int]


@value()
class ReserveVerb:
    """A reserve that the owner's leases have paid for: no limit is asked again."""

    call: CallOrDraft
    holds: tuple[Hold, ...]
    expires_at: datetime
    events: tuple[Event, ...] = ()


@value()
class SettleVerb:
    """A post (or a void) of a call that the same owner reserved; or, assumed, the end of a hold that it let pass its deadline."""

    call_id: str
    settlement: SettlementOrDraft
    is_void: bool = False
    is_assumed: bool = False
    events: tuple[Event, ...] = ()


LeaseVerb = ReserveVerb | SettleVerb


@runtime_checkable
class LeaseBackend(Store, Protocol):
    """A store that also grants leases. Plain verbs go on beside them; they see what is leased as taken."""

    def enlist(self, owner: Owner) -> None:
        """Make an owner known, before its first grant. Twice is harmless; with another journal it is the owner's new one."""
        ...

    def grant(self, owner_id: str, wants: Sequence[Want], *, now: datetime) -> Granted | Refusal:
        """Lease a slice of every account, or none: the first want that does not fit is the refusal's hold.

        A slice is at least `need` and at most `want`, and it shrinks to an eighth of what is available when that is between.

        Raises:
            LeaseLostError: the owner is not known, or has been recovered.
        """
        ...

    def settle(
        self, owner_id: str, offset: int, verbs: Sequence[LeaseVerb], *, keep: Mapping[str, int], deadline: datetime
    ) -> Heard:
        """Apply verbs in one step; the journal is then applied up to `offset`.

        A reserve takes its amounts out of the leases, as far as they go; a post gives the difference back to them (or takes it,
        above the hold), a void the whole hold. The verbs of a batch may be added up first: a lease is then what it was plus their
        sum, and at least 0. What an account without a lease is given back becomes one, and returns unless it is kept.

        Args:
            keep: what the owner still claims of each lease after these verbs, by account key; what it does not claim returns to
                the account. It never gets more than what the verbs leave it.

        Raises:
            LeaseLostError: the owner has been recovered by somebody; nothing is changed.
            LedgerError, KeyError: a verb contradicts what the book says of its call, as in the verb of the same name; nothing is
                changed. A verb that the book has already, with the same content, is passed over.
        """
        ...

    def owners(self) -> tuple[Owner, ...]:
        """Those that have neither retired nor been recovered, by id."""
        ...

    def recover(
        self, owner_id: str, offset: int, verbs: Sequence[LeaseVerb], *, is_lost: bool, now: datetime
    ) -> tuple[CallRecord, ...]:
        """Close an owner's books: apply the rest of its journal, post its open calls as ASSUMED, and end its leases.

        What is left of the leases returns to the accounts; when the journal (or its end) is lost it is posted as assumed.
        Also how an owner retires itself. The calls assumed, by id; an owner that is unknown or closed before: ().
        """
        ...
