"""Any sequence of verbs leaves a store with leases where the memory store is, and every answer on the way is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis.stateful import invariant, rule

from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Leased
from tests.stores.test_machine import MANY, LedgerMachine


class LeasedMachine(LedgerMachine):
    """Leases from the first call; what is in memory stays there until somebody looks."""

    lease_after = 0

    def opened(self) -> Any:
        path = str(Path(self.folder.name) / "l.db")
        return Leased(
            SqliteLeases(path), f"{path}.leases", lease_after=self.lease_after, background=False, journal_bytes=1 << 14
        )  # fmt: skip

    @rule()
    def look(self) -> None:
        super().stores_agree()

    @rule()
    def tick(self) -> None:
        assert self.stores[1].tick()

    @invariant()
    def stores_agree(self) -> None:
        """Only when somebody looks: reading is a flush."""


class LaterMachine(LeasedMachine):
    """The first few calls are plain."""

    lease_after = 2


TestLeasedMachine = LeasedMachine.TestCase
TestLeasedMachine.settings = MANY
TestLaterMachine = LaterMachine.TestCase
TestLaterMachine.settings = MANY
