"""Where the book is kept."""

from runguard_core.stores._memory import MemoryStore
from runguard_core.stores._migrating import Migrated, migrate
from runguard_core.stores._opening import (
    default_path,
    open_default,
    open_fleet,
    open_forgetting,
    open_keeping,
    open_store,
    state_directory,
)
from runguard_core.stores._sqlite import SqliteStore
from runguard_core.stores.leases import Leased

__all__ = [
    "Leased",
    "MemoryStore",
    "Migrated",
    "SqliteStore",
    "default_path",
    "migrate",
    "open_default",
    "open_fleet",
    "open_forgetting",
    "open_keeping",
    "open_store",
    "state_directory",
]
