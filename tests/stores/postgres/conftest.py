"""A schema of its own for every test, on the run's one server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from runguard_core.ids import new_id
from runguard_core.stores.postgres import PostgresStore


@contextmanager
def own_schema(url: str) -> Iterator[str]:
    """The URL of a ledger that nobody else knows; dropped at the end."""
    schema = f"t_{new_id().lower()}"
    try:
        yield f"{url}&schema={schema}"
    finally:
        with psycopg.connect(url, autocommit=True) as link:
            link.execute("SET client_min_messages = error")
            link.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.fixture
def ledger_url(postgres_url: str) -> Iterator[str]:
    """Of an empty ledger."""
    with own_schema(postgres_url) as url:
        yield url


@pytest.fixture
def open_ledger(ledger_url: str) -> Iterator[Callable[..., PostgresStore]]:
    """Open the test's ledger, as often as it likes."""
    opened: list[PostgresStore] = []

    def open_it(**settings: float) -> PostgresStore:
        opened.append(PostgresStore(ledger_url, **settings))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(open_ledger: Callable[..., PostgresStore]) -> PostgresStore:
    """An empty ledger, open."""
    return open_ledger()
