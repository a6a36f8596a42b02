"""Leases on top of Redis keep the contract of stores, and a URL asks for them unless it says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runguard_core.errors import StoreUnavailableError
from runguard_core.ids import new_id
from runguard_core.ledger import Balance, Hold, Reserved, Store
from runguard_core.stores import open_store
from runguard_core.stores.leases import Leased
from runguard_core.stores.redis import RedisLeases
from runguard_core.testing._contract import StoreContract
from runguard_core.testing._ledger_values import DAY, LATER, a_call, a_settlement


def leased(url: str, folder: Path, **how: object) -> Leased:
    """A tenant of its own, with leases."""
    return Leased(RedisLeases(f"{url}?tenant={new_id()}"), str(folder / "leases"), **how)  # type: ignore[arg-type]


class TestFromTheFirstCall(StoreContract):
    """No plain verb is ever said."""

    @pytest.fixture
    def store(self, valkey_url: str, tmp_path: Path) -> Iterator[Store]:
        opened = leased(valkey_url, tmp_path, lease_after=0, background=False)
        yield opened
        opened.close()


class TestInTheMiddle(StoreContract):
    """The first call is plain, the second leased, and a thread flushes."""

    @pytest.fixture
    def store(self, valkey_url: str, tmp_path: Path) -> Iterator[Store]:
        opened = leased(valkey_url, tmp_path, lease_after=1)
        yield opened
        opened.close()


def test_a_url_gives_leases_unless_it_says_off(valkey_url: str) -> None:
    """And one that means nothing is named."""
    tenant = new_id()
    with_leases, without = open_store(f"{valkey_url}?tenant={tenant}"), open_store(f"{valkey_url}?tenant={tenant}&leases=off")
    assert (type(with_leases), type(without)) == (Leased, RedisLeases)
    for number in range(60):
        call = a_call(f"id{number}")
        assert isinstance(with_leases.reserve(call, [Hold(DAY, 1, 100)], expires_at=LATER, owner="t"), Reserved)
        with_leases.post(call.id, a_settlement(1))
    with_leases.close()
    assert without.balances([DAY.key])[DAY.key] == Balance(60)
    assert without.verify() == ()
    without.close()
    with pytest.raises(StoreUnavailableError, match="leases=maybe"):
        open_store(f"{valkey_url}?leases=maybe")
