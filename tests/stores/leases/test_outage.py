"""A store with leases whose backend does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Account, Hold, Unit
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Leased
from runguard_core.testing._ledger_values import LATER, a_call, a_settlement, holds

TIMEOUT_SECONDS = 0.1


class Silent(SqliteLeases):
    """Fails each writing verb after a timeout while it is away."""

    is_away = False

    def _writing(self, **how: Any) -> Any:
        if self.is_away:
            time.sleep(TIMEOUT_SECONDS)
            raise StoreUnavailableError("ledger", "no answer", "wait")
        return super()._writing(**how)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Silent]:
    """In a folder of its own."""
    backend = Silent(str(tmp_path / "ledger.db"))
    yield backend
    backend.is_away = False


@pytest.fixture
def store(tmp_path: Path, backend: Silent) -> Iterator[Leased]:
    """Leases from the first call."""
    store = Leased(backend, str(tmp_path / "ledger.db.leases"), lease_after=0, background=False)
    yield store
    store.close()


@pytest.mark.parametrize("verb", ["reserve", "post"])
def test_threads_do_not_wait_for_one_timeout_after_the_other(store: Leased, backend: Silent, verb: str) -> None:
    """Twelve ask at once; the last one hears of the failure after about two timeouts, not after twelve."""
    store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    backend.is_away = True
    start, waited = threading.Barrier(12), []

    def ask(index: int) -> None:
        account = Account(f"account-{index}", Unit.USD, f"account {index}")
        start.wait()
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="no answer"):
            if verb == "reserve":
                store.reserve(a_call(), [Hold(account, 1, 9, 9)], expires_at=LATER, owner="t")
            else:
                store.post("unknown here", a_settlement(1))
        waited.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waited) == 12
    assert max(waited) < 6 * TIMEOUT_SECONDS
