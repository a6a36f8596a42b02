"""A ledger and a destination for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runguard_core.ledger import Store
from runguard_core.stores import open_store
from tests.alerts.sinks import Sink, serving


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with serving() as found:
        yield found
