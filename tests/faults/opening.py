"""The stores that faults are tried on, by name: what a URL says, and a file with leases from the second call on."""

from __future__ import annotations

from runguard_core.ledger import Store
from runguard_core.stores import SqliteStore, open_store
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Leased

#: A file without leases, and one with.
FILES = ("sqlite", "leased")


def url_of(kind: str, path: object) -> str:
    """How programs that a test starts are told the store."""
    return "memory://" if kind == "memory" else f"{kind}:///{path}"


def opened(url: str) -> Store:
    """The store of such a name."""
    kind, _, path = url.partition(":///")
    if kind == "leased":
        return Leased(SqliteLeases(path), f"{path}.leases", lease_after=1)
    return SqliteStore(path) if kind == "sqlite" else open_store(url)
