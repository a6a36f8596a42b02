"""A bill and a ledger of the shop, for each provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.finops.bills.cases import Case
from tests.finops.bills.making import parts_of
from tests.finops.bills.shop import PROVIDERS, ROWS, calls_of


@pytest.fixture(params=PROVIDERS)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Nothing planted yet."""
    rows = list(ROWS)
    yield Case(request.param, parts_of(calls_of(rows), request.param), rows, {})
