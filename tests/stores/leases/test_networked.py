"""Leases on servers: the contract of stores, through a real Valkey and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runguard_core.ids import new_id
from runguard_core.ledger import Store
from runguard_core.stores.leases import Leased
from runguard_core.stores.postgres import PostgresLeases
from runguard_core.stores.redis import RedisLeases
from runguard_core.testing._contract import StoreContract


class TestRedis(StoreContract):
    """From the first call."""

    @pytest.fixture
    def store(self, valkey_url: str, tmp_path: Path) -> Iterator[Store]:
        opened = Leased(RedisLeases(f"{valkey_url}?tenant={new_id()}"), str(tmp_path), lease_after=0, background=False)
        yield opened
        opened.close()


class TestPostgres(StoreContract):
    """From the first call."""

    @pytest.fixture
    def store(self, postgres_url: str, tmp_path: Path) -> Iterator[Store]:
        backend = PostgresLeases(f"{postgres_url}&schema=l{new_id().lower()}")
        opened = Leased(backend, str(tmp_path), lease_after=0, background=False)
        yield opened
        opened.close()
