"""Servers of one's own, which tests may kill, and stores on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from runguard_core.ids import new_id
from runguard_core.stores.redis import RedisLeases
from tests.servers import ValkeyServer

Start = Callable[..., ValkeyServer]
Open = Callable[..., RedisLeases]


@pytest.fixture
def start(started_servers: None) -> Iterator[Start]:
    """Start servers with settings; they end with the test."""
    running: list[ValkeyServer] = []

    def one(*settings: str) -> ValkeyServer:
        running.append(ValkeyServer(*settings))
        return running[-1]

    yield one
    for server in running:
        server.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open books (a tenant of its own unless the URL names one) that this host remembers; closed with the test."""
    stores: list[RedisLeases] = []

    def one(url: str, folder: Path | None = tmp_path, **query: Any) -> RedisLeases:
        query = {"tenant": new_id()} | query
        stores.append(RedisLeases(f"{url}?{'&'.join(f'{name}={value}' for name, value in query.items())}", folder=folder))
        return stores[-1]

    yield one
    for store in stores:
        store.close()


@pytest.fixture
def admin() -> Iterator[Callable[[str], Any]]:
    """A client of a person at the server."""
    clients: list[Any] = []

    def one(url: str) -> Any:
        clients.append(redis.Redis.from_url(url, decode_responses=True))
        return clients[-1]

    yield one
    for client in clients:
        client.close()
