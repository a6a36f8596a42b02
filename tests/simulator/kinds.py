"""What kind of store the processes of a world have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runguard_core.stores import SqliteStore
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Leased
from tests.simulator.machine import SimulatedHost


@dataclass(frozen=True)
class Kind:
    """A store.

    Attributes:
        name: for people.
        backend: opens what a process calls over its network, by the ledger's path.
        store: what the program calls, over that.
        tend: what the process does by itself now and then.
        has_leases: whether it has; only then is anything promised when power fails: a plain store may lose its last transactions.
    """

    name: str
    backend: Callable[[str], Any]
    store: Callable[[Any, SimulatedHost, Path], Any]
    tend: Callable[[Any, SimulatedHost], Any]
    has_leases: bool


PLAIN = Kind(
    "plain",
    lambda path: SqliteStore(path, busy_seconds=0.0),
    lambda backend, host, folder: backend,
    lambda store, host: store.expire(host.now()),
    has_leases=False,
)

#: So small that it runs out, and is begun anew, within a seed.
_JOURNAL_BYTES = 6_000


LEASED = Kind(
    "leased",
    lambda path: SqliteLeases(path, busy_seconds=0.0),
    lambda backend, host, folder: Leased(
        backend, str(folder / host.name), lease_after=2, host=host, background=False, journal_bytes=_JOURNAL_BYTES
    ),
    lambda store, host: store.tick(),
    has_leases=True,
)

KINDS = {kind.name: kind for kind in (PLAIN, LEASED)}
