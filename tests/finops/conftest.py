"""A shop's ledger of some weeks, shared by the tests of the practice: seeded traffic, read only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from runguard_core.ledger import Store
from runguard_core.stores import open_store
from runguard_core.testing import make_traffic, write_traffic

SHOP = "shop"
START = datetime(2026, 8, 3, tzinfo=UTC)  # a Monday
WEEKS = 6


@pytest.fixture(scope="session")
def shop() -> Iterator[Store]:
    """Six weeks of six features in memory, about six thousand calls; tests that write take a store of their own."""
    store = open_store("memory://")
    write_traffic(store, make_traffic(START, 7 * WEEKS, seed=7, scale=0.15).calls, SHOP)
    yield store
    store.close()
