"""Owners, verbs and short words for tests of stores that grant leases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from runguard_core.ledger import (
    Balance,
    CallRecord,
    Granted,
    Hold,
    LeaseBackend,
    LeaseVerb,
    Owner,
    ReserveVerb,
    SettleVerb,
    Want,
)
from runguard_core.testing._ledger_values import DAY, LATER, SESSION, T0, TURNS, a_settlement, holds

ALL = 2**62
SOON = T0 + timedelta(minutes=1)


def an_owner(owner_id: str = "one", journal: str = "/journals/one") -> Owner:
    """A process of this host."""
    return Owner(id=owner_id, host="h", boot_id="b", journal=journal, applied=0, deadline=SOON)


def reserving(call: CallRecord, amount: int = 10, some: Sequence[Hold] | None = None) -> ReserveVerb:
    """The verb for a call of `amount` in both USD accounts and one turn."""
    return ReserveVerb(call, tuple(holds(amount) if some is None else some), LATER)


def posting(call: CallRecord, cost: int) -> SettleVerb:
    """The verb for its end."""
    return SettleVerb(call.id, a_settlement(cost))


def leased(rest: int, posted: int = 0, pending: int = 0) -> Balance:
    """A balance with something leased."""
    return Balance(posted, pending, 0, rest)


class LeaseContractTools:
    """Fixtures and short words for the tests of a contract of leases."""

    @pytest.fixture
    def backend(self) -> Iterator[LeaseBackend]:
        """An empty store."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _balanced_leases(self, backend: LeaseBackend) -> Iterator[None]:
        """After every test the book agrees with itself, leases included."""
        yield
        assert backend.verify() == ()

    def enlisted(self, backend: LeaseBackend, owner_id: str = "one", **slices: int) -> Owner:
        """An owner with slices of the accounts named, below a limit of 100."""
        owner = an_owner(owner_id, f"/journals/{owner_id}")
        backend.enlist(owner)
        accounts = {"day": DAY, "session": SESSION, "turns": TURNS}
        wants = [Want(accounts[name], amount, amount, 100, 100) for name, amount in slices.items()]
        if wants:
            assert isinstance(backend.grant(owner.id, wants, now=T0), Granted)
        return owner

    def settle(
        self, backend: LeaseBackend, offset: int, verbs: Sequence[LeaseVerb], owner_id: str = "one", **keep: int
    ) -> dict[str, Balance]:
        """Settle, claiming the named leases."""
        return dict(backend.settle(owner_id, offset, verbs, keep=keep, deadline=SOON).balances)

    def day(self, backend: LeaseBackend) -> Balance:
        """The day's balance."""
        return backend.balances([DAY.key])[DAY.key]
