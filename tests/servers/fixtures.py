"""The fixtures that `tests/conftest.py` gives to every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import PostgresServer, ValkeyServer
from tests.servers._postgres import FAST
from tests.servers._process import clear


@pytest.fixture(scope="session")
def started_servers() -> Iterator[None]:
    """Whatever a test starts ends with the run, at the latest."""
    yield
    clear()


@pytest.fixture(scope="session")
def valkey_server(started_servers: None) -> ValkeyServer:
    """The run's own Valkey. Tests share it, each with a tenant of its own, and never stop it."""
    return ValkeyServer()


@pytest.fixture(scope="session")
def valkey_url(valkey_server: ValkeyServer) -> str:
    """Where it listens: "redis://127.0.0.1:PORT/0"."""
    return valkey_server.url


@pytest.fixture(scope="session")
def postgres_server(started_servers: None) -> PostgresServer:
    """The run's own PostgreSQL, which forgets at power loss. Tests share it, each with a schema of its own, and never stop it."""
    return PostgresServer(**FAST)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """Where it listens: "postgresql://postgres@/postgres?host=FOLDER"."""
    return postgres_server.url
