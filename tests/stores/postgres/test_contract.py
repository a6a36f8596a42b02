"""PostgreSQL keeps the contract of a store, also when every verb comes through a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runguard_core.ledger import LeaseBackend, Store
from runguard_core.stores.leases import Leased
from runguard_core.stores.postgres import PostgresLeases, PostgresStore
from runguard_core.testing._contract import StoreContract
from runguard_core.testing._lease_contract import LeaseBackendContract


class TestPostgres(StoreContract):
    """A schema of a real server."""

    @pytest.fixture
    def store(self, ledger_url: str) -> Iterator[Store]:
        opened = PostgresStore(ledger_url)
        yield opened
        opened.close()


class TestPostgresThroughTwoPrograms(StoreContract):
    """One writes, the other reads: what one wrote, the next one sees."""

    @pytest.fixture
    def store(self, ledger_url: str) -> Iterator[Store]:
        stores = [PostgresStore(ledger_url), PostgresStore(ledger_url)]

        class Alternating:
            def __getattr__(self, name: str) -> object:
                stores.reverse()
                if name in {"latches", "overrides"}:
                    stores[0]._watch.poll()
                return getattr(stores[0], name)

        yield Alternating()  # type: ignore[misc]  # a store by delegation
        for opened in stores:
            opened.close()


class TestPostgresGrants(LeaseBackendContract):
    """What it grants to processes."""

    @pytest.fixture
    def backend(self, ledger_url: str) -> Iterator[LeaseBackend]:
        opened = PostgresLeases(ledger_url)
        yield opened
        opened.close()


class TestPostgresWithLeases(StoreContract):
    """From the first call: no plain verb is ever said."""

    @pytest.fixture
    def store(self, ledger_url: str, tmp_path: Path) -> Iterator[Store]:
        opened = Leased(PostgresLeases(ledger_url), str(tmp_path / "leases"), lease_after=0, background=False)
        yield opened
        opened.close()
