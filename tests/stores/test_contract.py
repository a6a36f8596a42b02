"""Every store keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runguard_core.ids import new_id
from runguard_core.ledger import Store
from runguard_core.stores import MemoryStore, SqliteStore, open_store
from runguard_core.testing._contract import StoreContract


class TestMemory(StoreContract):
    """The executable specification."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        yield MemoryStore()


class TestSqlite(StoreContract):
    """The default."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        opened = SqliteStore(str(tmp_path / "ledger.db"))
        yield opened
        opened.close()


class TestSqliteThroughAnotherConnection(StoreContract):
    """Every verb by a connection of its own: what one wrote, the next one reads."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        path = str(tmp_path / "ledger.db")

        class Reopening:
            def __getattr__(self, name: str) -> object:
                if name == "url":
                    return f"sqlite:///{path}"

                def verb(*args: object, **kwargs: object) -> object:
                    opened = SqliteStore(path)
                    try:
                        return getattr(opened, name)(*args, **kwargs)
                    finally:
                        opened.close()

                return verb

        yield Reopening()  # type: ignore[misc]  # a store by delegation


class TestRedis(StoreContract):
    """A tenant of its own on a real Valkey."""

    @pytest.fixture
    def store(self, valkey_url: str) -> Iterator[Store]:
        opened = open_store(f"{valkey_url}?tenant={new_id()}&leases=off")
        yield opened
        opened.close()


class TestRedisThroughAnotherProgram(StoreContract):
    """Every verb by a store of its own: nothing is remembered but what the server knows."""

    @pytest.fixture
    def store(self, valkey_url: str) -> Iterator[Store]:
        url = f"{valkey_url}?tenant={new_id()}&leases=off"

        class Reopening:
            def __getattr__(self, name: str) -> object:
                def verb(*args: object, **kwargs: object) -> object:
                    opened = open_store(url)
                    try:
                        return getattr(opened, name)(*args, **kwargs)
                    finally:
                        opened.close()

                return verb

        yield Reopening()  # type: ignore[misc]  # a store by delegation
