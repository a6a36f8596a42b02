"""A Valkey and a PostgreSQL of their own for benchmarks: the servers that the tests start, with their files on this disk and synced."""

from __future__ import annotations

import sys
from pathlib import Path

from runguard_core.ids import new_id

sys.path.insert(0, str(Path(__file__).parents[1]))


def started() -> dict[str, str]:
    """URLs by the name of the store, for `fresh`; the servers end with the process."""
    from tests.servers import PostgresServer, ValkeyServer

    return {"redis": f"{ValkeyServer().url}?tenant=NEW", "postgresql": f"{PostgresServer().url}&schema=bNEW"}


def fresh(url: str) -> str:
    """A book that nobody has written to."""
    return url.replace("NEW", new_id().lower())
