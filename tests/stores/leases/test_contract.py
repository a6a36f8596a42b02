"""A store with leases keeps the contract of stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runguard_core.ledger import Store
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Leased
from runguard_core.testing._contract import StoreContract


def leased(folder: Path, **how: object) -> Leased:
    """A ledger in a folder, with leases."""
    return Leased(SqliteLeases(str(folder / "ledger.db")), str(folder / "ledger.db.leases"), **how)  # type: ignore[arg-type]


class TestFromTheFirstCall(StoreContract):
    """No plain verb is ever said."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        opened = leased(tmp_path, lease_after=0, background=False)
        yield opened
        opened.close()


class TestAsItComes(StoreContract):
    """Plain at first, with a thread that flushes."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        opened = leased(tmp_path)
        yield opened
        opened.close()


class TestInTheMiddle(StoreContract):
    """The first call is plain, the second leased."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        opened = leased(tmp_path, lease_after=1)
        yield opened
        opened.close()
