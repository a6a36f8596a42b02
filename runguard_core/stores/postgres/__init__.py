"""The ledger in PostgreSQL: `postgresql://USER@HOST/DATABASE?schema=NAME`."""

from runguard_core.stores.postgres._fleet import PostgresFleet
from runguard_core.stores.postgres._leasing import PostgresLeases
from runguard_core.stores.postgres._schema import migrate
from runguard_core.stores.postgres._store import PostgresStore

__all__ = ["PostgresFleet", "PostgresLeases", "PostgresStore", "migrate"]
