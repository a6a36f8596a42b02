"""Every backend keeps the contract of leases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runguard_core.ids import new_id
from runguard_core.ledger import LeaseBackend
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.redis import RedisLeases
from runguard_core.testing._lease_contract import LeaseBackendContract


class TestSqlite(LeaseBackendContract):
    """The ledger in a file."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[LeaseBackend]:
        opened = SqliteLeases(str(tmp_path / "ledger.db"))
        yield opened
        opened.close()


class TestRedis(LeaseBackendContract):
    """A tenant of its own on a real Valkey."""

    @pytest.fixture
    def backend(self, valkey_url: str) -> Iterator[LeaseBackend]:
        opened = RedisLeases(f"{valkey_url}?tenant={new_id()}")
        yield opened
        opened.close()
