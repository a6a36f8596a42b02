"""What tests of stores share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runguard_core.ledger import KeepingStore
from runguard_core.stores import MemoryStore
from runguard_core.stores._sqlite_keeping import SqliteKeeper


@pytest.fixture(params=["memory", "sqlite"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeepingStore]:
    """Each store that can do without rows of old calls."""
    made: KeepingStore = MemoryStore() if request.param == "memory" else SqliteKeeper(str(tmp_path / "book.db"))
    yield made
    made.close()
