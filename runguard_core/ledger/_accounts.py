"""What is limited and how full it is: `Unit`, `Account`, `Hold`, `Balance`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runguard_core.values import value


class Unit(StrEnum):
    """What an account counts. Amounts are whole numbers of the smallest part named here."""

    USD = "USD"  # nano-USD
    TOKENS = "tokens"
    CALLS = "calls"
    TURNS = "turns"
    SECONDS = "seconds"  # milliseconds of work
    TOOL_CALLS = "tool calls"

    __hash__ = str.__hash__  # equal to its text, so it hashes like it; an enumeration's own hash is computed in Python

    @property
    def scale(self) -> int:
        """Smallest parts in one unit."""
        return {Unit.USD: 10**9, Unit.SECONDS: 1000}.get(self, 1)


@dataclass(frozen=True, slots=True)
class Account:
    """One counter of the book, named by what it limits and never by the budget's name or limit.

    Attributes:
        key: canonical text of (app, where, split values, unit, period, window, time zone).
        unit: what it counts.
        title: for people, for example "session s-42" or "feature search, 2026-11-24".
        window_start: first instant of the calendar window (UTC), None without one.
        window_end: first instant after it (UTC), None without one.
    """

    key: str
    unit: Unit
    title: str = ""
    window_start: datetime | None = None
    window_end: datetime | None = None


@value()
class Hold:
    """An amount to set aside in one account.

    Attributes:
        account: where.
        amount: how much, in the unit's smallest part, 0 .. 2**62.
        limit: refuse unless `amount <= limit - posted - pending`; None observes and never refuses.
        shown_limit: the limit a reader should see (an observed budget has one too); None when there is none.
    """

    account: Account
    amount: int
    limit: int | None
    shown_limit: int | None = None


@value()
class Balance:
    """An account's sums, in the unit's smallest part.

    Attributes:
        posted: spent (assumed amounts included).
        pending: set aside for calls in flight.
        assumed: the part of `posted` that a crash left unknown and that a late post may correct.
        leased: handed to processes that spend it in memory, and not spent yet; part of neither of the others.
    """

    posted: int = 0
    pending: int = 0
    assumed: int = 0
    leased: int = 0

    def available(self, limit: int) -> int:
        """What is left below `limit`; negative after an overrun."""
        return limit - self.posted - self.pending - self.leased


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as the store keeps it, for reports."""

    account: Account
    balance: Balance
    limit: int | None
