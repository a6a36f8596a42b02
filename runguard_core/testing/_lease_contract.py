"""`LeaseBackendContract`: the suite every store that grants leases inherits, beside `StoreContract`.

A subclass gives a `backend` fixture: an empty store. It needs pytest, as the contract of a store does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from runguard_core.errors import LeaseLostError
from runguard_core.ledger import (
    Balance,
    CallState,
    EntryKind,
    Granted,
    Hold,
    LeaseBackend,
    LeaseVerb,
    Refusal,
    Want,
)
from runguard_core.testing._lease_settling_contract import SettlingContract
from runguard_core.testing._lease_values import ALL, SOON, leased, posting, reserving
from runguard_core.testing._ledger_values import DAY, LATER, SESSION, T0, TURNS, a_call, a_settlement


class LeaseBackendContract(SettlingContract):
    """What must hold for every store that grants leases; see the laws in `runguard_core.ledger._leasing`."""

    # -- granting -------------------------------------------------------------------------------------------------

    def test_what_is_leased_counts_as_taken_for_grants_and_plain_reserves(self, backend: LeaseBackend) -> None:
        """Law 1: never above the limit, which may be reached exactly."""
        self.enlisted(backend, day=60)
        self.enlisted(backend, "two")
        assert self.day(backend) == leased(60)
        refused = backend.grant("two", [Want(DAY, 41, 41, 100)], now=T0)
        assert isinstance(refused, Refusal)
        assert (refused.hold.account, refused.hold.amount, refused.hold.limit) == (DAY, 41, 100)
        assert refused.balance == leased(60)
        assert isinstance(backend.reserve(a_call(), [Hold(DAY, 41, 100)], expires_at=LATER, owner="t"), Refusal)
        assert isinstance(backend.grant("two", [Want(DAY, 40, 40, 100)], now=T0), Granted)
        assert self.day(backend) == leased(100)

    def test_plain_holds_and_spend_count_for_a_grant(self, backend: LeaseBackend) -> None:
        """Both kinds of verbs share one book."""
        self.enlisted(backend)
        call = a_call()
        backend.reserve(call, [Hold(DAY, 70, 100, 100)], expires_at=LATER, owner="t")
        assert isinstance(backend.grant("one", [Want(DAY, 31, 31, 100)], now=T0), Refusal)
        backend.post(call.id, a_settlement(90))
        assert isinstance(backend.grant("one", [Want(DAY, 11, 11, 100)], now=T0), Refusal)
        assert isinstance(backend.grant("one", [Want(DAY, 10, 10, 100)], now=T0), Granted)

    def test_a_slice_shrinks_to_an_eighth_of_what_is_there_and_never_below_need(self, backend: LeaseBackend) -> None:
        """So that a scarce budget is not locked up by the first who asks."""
        self.enlisted(backend)
        first = backend.grant("one", [Want(DAY, 1, 1000, 800, 800)], now=T0)
        assert isinstance(first, Granted)
        assert (dict(first.amounts), dict(first.balances)) == ({DAY.key: 100}, {DAY.key: leased(100)})
        second = backend.grant("one", [Want(DAY, 350, 1000, 800, 800)], now=T0)
        assert isinstance(second, Granted)
        assert second.amounts == {DAY.key: 350}
        third = backend.grant("one", [Want(DAY, 2, 5, 800, 800)], now=T0)
        assert isinstance(third, Granted)
        assert (dict(third.amounts), dict(third.balances)) == ({DAY.key: 5}, {DAY.key: leased(455)})

    def test_all_wants_are_granted_or_none(self, backend: LeaseBackend) -> None:
        """The second does not fit, so the first keeps nothing; the first that does not fit is named."""
        self.enlisted(backend)
        refused = backend.grant("one", [Want(DAY, 10, 10, 100), Want(SESSION, 10, 10, 9), Want(TURNS, 10, 10, 1)], now=T0)
        assert isinstance(refused, Refusal)
        assert (refused.hold.account.key, refused.balance) == (SESSION.key, Balance())
        assert self.day(backend) == Balance()

    def test_a_want_of_nothing_is_refused_only_above_the_limit(self, backend: LeaseBackend) -> None:
        """An owner asks ahead of its need."""
        self.enlisted(backend)
        granted = backend.grant("one", [Want(DAY, 0, 50, 100)], now=T0)
        assert isinstance(granted, Granted)
        assert granted.amounts == {DAY.key: 12}
        call = a_call()
        backend.reserve(call, [Hold(DAY, 200, None)], expires_at=LATER, owner="t")
        assert isinstance(backend.grant("one", [Want(DAY, 0, 50, 100)], now=T0), Refusal)

    def test_amounts_are_exact_to_2_to_the_62(self, backend: LeaseBackend) -> None:
        """No double comes near them."""
        self.enlisted(backend)
        for amount in (2**53 - 1, 2**53 + 1):
            before = self.day(backend).leased
            granted = backend.grant("one", [Want(DAY, amount, amount, ALL)], now=T0)
            assert isinstance(granted, Granted)
            assert self.day(backend).leased == before + amount
        rest = ALL - self.day(backend).leased
        assert isinstance(backend.grant("one", [Want(DAY, rest + 1, rest + 1, ALL)], now=T0), Refusal)
        assert isinstance(backend.grant("one", [Want(DAY, rest, rest, ALL)], now=T0), Granted)

    def test_overdue_holds_of_others_are_expired_before_a_grant(self, backend: LeaseBackend) -> None:
        """As before a reserve: charged at their quote."""
        self.enlisted(backend)
        backend.reserve(a_call(), [Hold(DAY, 10, 20)], expires_at=LATER, owner="t")
        granted = backend.grant("one", [Want(DAY, 10, 10, 20)], now=LATER)
        assert isinstance(granted, Granted)
        assert granted.balances[DAY.key] == Balance(10, 0, 10, 10)

    def test_the_limit_shown_is_that_of_the_latest_want(self, backend: LeaseBackend) -> None:
        """For reports, which see accounts that were never reserved plainly."""
        self.enlisted(backend, day=10)
        (row,) = backend.accounts()
        assert (row.account, row.balance, row.limit) == (DAY, leased(10), 100)

    # -- owners and recovery --------------------------------------------------------------------------------------

    def test_owners_are_listed_until_they_are_closed(self, backend: LeaseBackend) -> None:
        """With what others need to recover them: the journal, up to where it is applied, the deadline."""
        one = self.enlisted(backend, "one")
        two = self.enlisted(backend, "two")
        assert backend.owners() == (one, two)
        later = SOON + timedelta(minutes=5)
        backend.settle("two", 17, [], keep={}, deadline=later)
        assert backend.owners() == (one, replace(two, applied=17, deadline=later))
        backend.recover("one", 0, [], is_lost=False, now=T0)
        assert [owner.id for owner in backend.owners()] == ["two"]

    def test_enlisting_twice_is_harmless(self, backend: LeaseBackend) -> None:
        """The same journal stays where it is; another one begins anew, and leases stay."""
        owner = self.enlisted(backend, day=10)
        self.settle(backend, 5, [], day=10)
        backend.enlist(owner)
        assert backend.owners()[0].applied == 5
        backend.enlist(replace(owner, journal="/journals/other"))
        assert (backend.owners()[0].applied, backend.owners()[0].journal) == (0, "/journals/other")
        assert self.day(backend) == leased(10)

    def test_recovering_applies_the_rest_of_the_journal_and_hands_back_what_is_left(self, backend: LeaseBackend) -> None:
        """Open calls are assumed at their quote: nobody knows whether they were billed."""
        self.enlisted(backend, day=50)
        some = [Hold(DAY, 10, 100, 100)]
        one, two, three = a_call(), a_call(), a_call()
        self.settle(backend, 1, [reserving(one, some=some)], day=ALL)
        found = backend.recover(
            "one", 2, [posting(one, 4), reserving(two, some=some), posting(two, 5), reserving(three, some=some)],
            is_lost=False, now=LATER,
        )  # fmt: skip
        assert [(call.id, call.state, call.cost_nanos) for call in found] == [(three.id, CallState.ASSUMED, 10)]
        assert self.day(backend) == Balance(19, 0, 10, 0)
        assert backend.post(three.id, a_settlement(1)).applied.value == "late"
        assert self.day(backend) == Balance(10)

    def test_recovering_does_not_apply_what_was_applied(self, backend: LeaseBackend) -> None:
        """The offset says so."""
        self.enlisted(backend, day=50)
        call = a_call()
        verbs: list[LeaseVerb] = [reserving(call, some=[Hold(DAY, 10, 100, 100)]), posting(call, 7)]
        self.settle(backend, 8, verbs, day=ALL)
        backend.recover("one", 8, [reserving(a_call(), some=[Hold(DAY, 10, 100, 100)])], is_lost=False, now=T0)
        assert self.day(backend) == Balance(7)

    def test_a_lost_lease_is_charged_not_handed_back(self, backend: LeaseBackend) -> None:
        """Law 4, by a line of its own that names the owner."""
        self.enlisted(backend, day=50, session=20)
        call = a_call()
        self.settle(backend, 1, [reserving(call, some=[Hold(DAY, 10, 100, 100)])], day=ALL, session=ALL)
        assert [found.id for found in backend.recover("one", 0, [], is_lost=True, now=LATER)] == [call.id]
        assert self.day(backend) == Balance(50, 0, 50, 0)
        assert backend.balances([SESSION.key])[SESSION.key] == Balance(20, 0, 20, 0)
        (line,) = backend.entries("lease:one")
        assert (line.kind, line.at) == (EntryKind.EXPIRE, LATER)
        assert {(move.account_key, move.posted, move.assumed) for move in line.moves} == {("day", 40, 40), ("session", 20, 20)}

    def test_after_recovery_the_owner_has_nothing_and_is_told(self, backend: LeaseBackend) -> None:
        """Law 5; recovering twice, or somebody unknown, finds nothing."""
        self.enlisted(backend, day=50)
        call = a_call()
        self.settle(backend, 1, [reserving(call, some=[Hold(DAY, 10, 100, 100)])], day=ALL)
        assert len(backend.recover("one", 0, [], is_lost=False, now=T0)) == 1
        assert backend.recover("one", 9, [reserving(a_call())], is_lost=True, now=T0) == ()
        assert backend.recover("nobody", 0, [], is_lost=True, now=T0) == ()
        assert self.day(backend) == Balance(10, 0, 10, 0)
        with pytest.raises(LeaseLostError):
            self.settle(backend, 2, [posting(call, 1)], day=ALL)
        with pytest.raises(LeaseLostError):
            backend.grant("one", [Want(DAY, 1, 1, 100)], now=T0)
        with pytest.raises(LeaseLostError):
            backend.grant("nobody", [Want(DAY, 1, 1, 100)], now=T0)
        assert self.day(backend) == Balance(10, 0, 10, 0)

    def test_one_owners_verbs_leave_anothers_leases_alone(self, backend: LeaseBackend) -> None:
        """Also when both have leased the same account."""
        self.enlisted(backend, "one", day=30)
        self.enlisted(backend, "two", day=30)
        call = a_call()
        self.settle(backend, 1, [reserving(call, some=[Hold(DAY, 25, 100, 100)]), posting(call, 28)])
        assert self.day(backend) == leased(30, 28)
        backend.recover("one", 1, [], is_lost=True, now=T0)
        assert self.day(backend) == leased(30, 28)
        self.settle(backend, 1, [], "two", day=30)
        assert self.day(backend) == leased(30, 28)

    def test_plain_verbs_close_a_leased_call_too(self, backend: LeaseBackend) -> None:
        """A post by somebody else (the child of a fork) is the truth; the lease gets nothing back."""
        self.enlisted(backend, day=50)
        call = a_call()
        self.settle(backend, 1, [reserving(call, some=[Hold(DAY, 10, 100, 100)])], day=ALL)
        backend.post(call.id, a_settlement(4))
        assert self.day(backend) == leased(40, 4)
