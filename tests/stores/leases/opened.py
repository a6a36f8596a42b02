"""Ledgers with leases for tests, and the small things they do with them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runguard_core.ids import new_id
from runguard_core.ledger import Account, Balance, Hold, Refusal, Reserved, Unit
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Host, Leased
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement

CAP = Account("cap", Unit.USD, "the cap")


class StillHost(Host):
    """A machine whose stopwatch stands still unless it is moved, and where a pause is told to the test."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.boot, self.wall = 1000.0, super().boot_id(), T0
        self.paused: list[float] = []
        self.while_paused: Any = None

    def boot_id(self) -> str:
        return self.boot

    def monotonic(self) -> float:
        return self.reading

    def now(self) -> datetime:
        return self.wall

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.reading += seconds
        if self.while_paused is not None:
            self.while_paused()


def leased(folder: Path, **how: Any) -> Leased:
    """The ledger in a folder, with leases from the first call and no thread, unless told otherwise."""
    values: dict[str, Any] = {"lease_after": 0, "background": False} | how
    return Leased(SqliteLeases(str(folder / "l.db"), busy_seconds=0.2), str(folder / "l.db.leases"), **values)


def plain(folder: Path) -> SqliteLeases:
    """The book itself, as anybody else sees it."""
    return SqliteLeases(str(folder / "l.db"))


def reserve(store: Any, amount: int, limit: int | None = 1000, call_id: str | None = None) -> Reserved | Refusal:
    """One call against the day."""
    found: Reserved | Refusal = store.reserve(
        a_call(call_id or new_id()), [Hold(DAY, amount, limit, limit)], expires_at=LATER, owner="t"
    )
    return found


def spend(store: Any, amount: int, limit: int | None = 1000) -> bool:
    """A call that costs what was set aside for it; whether it was let through."""
    call_id = new_id()
    if isinstance(reserve(store, amount, limit, call_id), Refusal):
        return False
    store.post(call_id, a_settlement(amount))
    return True


def abandon(store: Leased) -> None:
    """Kill -9, seen from outside: its files are let go of, and nothing else happens."""
    holdings = store._leases.holdings
    assert holdings is not None
    store._leases.holdings = None
    holdings.journal.file.close()


HOUR = timedelta(hours=1)


def day(store: Any) -> Balance:
    """The day's balance."""
    found: Balance = store.balances([DAY.key])[DAY.key]
    return found
