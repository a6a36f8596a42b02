"""The book in Redis 7 or Valkey: `redis://HOST:PORT/DB?tenant=NAME`."""

from __future__ import annotations

from runguard_core.stores.redis._address import Address
from runguard_core.stores.redis._leasing import RedisLeases
from runguard_core.stores.redis._store import RedisStore

__all__ = ["Address", "RedisLeases", "RedisStore"]
