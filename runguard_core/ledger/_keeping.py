"""What a ledger may cease to keep: `KeepingStore` forgets a user's id and drops the rows of old calls; sums stay."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from runguard_core.ledger._entries import Tell
from runguard_core.ledger._events import Event
from runguard_core.ledger._store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was renamed, or would be.

    Attributes:
        session_count: sessions and runs of the user, each agent instance and payer apart; call_count: their calls.
        account_count: accounts of budgets split by users. event_count: events that named one of them.
        in_use_count: accounts that keep the user's id for now, because calls in flight or leases are in them.
    """

    session_count: int = 0
    call_count: int = 0
    account_count: int = 0
    event_count: int = 0
    in_use_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was dropped, or would be.

    Attributes:
        call_count, line_count: rows of settled calls, and lines of the book.
        sum_count: rows of sums that stand for them from now on.
    """

    call_count: int = 0
    line_count: int = 0
    sum_count: int = 0


class ForgettingStore(Store, Protocol):
    """A store that can do without a user's id."""

    def forget_user(
        self, users: Collection[str], pseudonym: str, say: Callable[[Forgotten], Event], *, dry_run: bool = False
    ) -> Forgotten:
        """Put a pseudonym where one of these ids stood, in one step with the event that says so. Sums by anything else stay.

        Raises:
            ConflictingEntryError: the event's id is taken already; nothing is changed.
        """
        ...


class KeepingStore(ForgettingStore, Protocol):
    """A store that can do without the rows of old calls as well."""

    def prune(
        self, before: datetime, say: Callable[[Pruned], Event], *, dry_run: bool = False, tell: Tell | None = None
    ) -> Pruned:
        """Drop settled calls admitted before an instant and their lines, in one step with the event that says so.

        What stays: every balance; `totals` of windows that begin and end at quarters of an hour (UTC), by every dimension but
        `turn` and `loop`; `sessions`; `verify` finds nothing. What is gone: the calls themselves, and with them sizes of
        prompts, results, errors, request ids and the exact times.
        """
        ...
