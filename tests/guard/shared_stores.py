"""Ledgers that several processes share, one of each kind, by their URLs."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from runguard_core.ledger import Store
from runguard_core.stores import open_store
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Leased

#: The kinds there are by their URLs, and one that has leases from its first call on.
KINDS = ("sqlite", "redis", "postgresql")
LEASES = "leases"


def shared_url(kind: str, folder: Path, request: Any) -> str:
    """The URL of a fresh ledger; servers are started when first asked for."""
    name = f"t{uuid.uuid4().hex[:12]}"
    if kind == LEASES:
        return f"{LEASES}:{folder}/{name}.db"
    if kind == "sqlite":
        return f"sqlite:///{folder}/{name}.db"
    if kind == "postgresql":
        return f"{request.getfixturevalue('postgres_url')}&schema={name}"
    return f"{request.getfixturevalue('valkey_url')}?tenant={name}"


def opened(url: str) -> Store:
    """The ledger of that URL, as a process opens it."""
    kind, _, path = url.partition(":")
    return Leased(SqliteLeases(path), f"{path}.leases", lease_after=0) if kind == LEASES else open_store(url)
