"""`LeaseBackendContract`: the suite every store that grants leases inherits, beside `StoreContract`.

A subclass gives a `backend` fixture: an empty store. It needs pytest, as the contract of a store does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from runguard_core.calls import Certainty, OutcomeKind
from runguard_core.errors import AlreadyVoidedError, ConflictingEntryError, LeaseLostError
from runguard_core.ledger import (
    Balance,
    CallRecord,
    CallState,
    EntryKind,
    Granted,
    Hold,
    LeaseBackend,
    LeaseVerb,
    Owner,
    Refusal,
    ReserveVerb,
    Settlement,
    SettleVerb,
    Want,
)
from runguard_core.testing._ledger_values import DAY, LATER, SESSION, T0, TURNS, a_call, a_settlement, an_event, holds

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


class LeaseBackendContract:
    """What must hold for every store that grants leases; see the laws in `runguard_core.ledger._leasing`."""

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
        return dict(backend.settle(owner_id, offset, verbs, keep=keep, deadline=SOON))

    def day(self, backend: LeaseBackend) -> Balance:
        """The day's balance."""
        return backend.balances([DAY.key])[DAY.key]

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

    # -- settling -------------------------------------------------------------------------------------------------

    def test_what_is_spent_comes_out_of_the_lease(self, backend: LeaseBackend) -> None:
        """Law 2: a reserve takes its amount, a post gives the difference back, and the sum of all four stays."""
        self.enlisted(backend, day=50, session=50, turns=5)
        call = a_call()
        found = self.settle(backend, 1, [reserving(call)], day=40, session=40, turns=4)
        assert found == {DAY.key: leased(40, 0, 10), SESSION.key: leased(40, 0, 10), TURNS.key: leased(4, 0, 1)}
        kept = backend.call(call.id)
        assert kept == call
        found = self.settle(backend, 2, [posting(call, 7)], day=43, session=43, turns=4)
        assert found == {DAY.key: leased(43, 7), SESSION.key: leased(43, 7), TURNS.key: leased(4, 1)}
        assert backend.call(call.id) == replace(call, state=CallState.POSTED, settlement=a_settlement(7))
        assert [entry.kind for entry in backend.entries(call.id)] == [EntryKind.PENDING, EntryKind.POST]

    def test_a_call_may_be_reserved_and_settled_in_one_batch(self, backend: LeaseBackend) -> None:
        """The usual case; the book has both lines."""
        self.enlisted(backend, day=50, session=50, turns=5)
        calls = [a_call(), a_call()]
        verbs: list[LeaseVerb] = [reserving(calls[0]), reserving(calls[1]), posting(calls[0], 4)]
        verbs.append(SettleVerb(calls[1].id, a_settlement(0), is_void=True))
        found = self.settle(backend, 1, verbs, day=ALL, session=ALL, turns=ALL)
        assert found[DAY.key] == leased(46, 4)
        states = {call.id: call.state for call in map(backend.call, [call.id for call in calls]) if call}
        assert states == {calls[0].id: CallState.POSTED, calls[1].id: CallState.VOIDED}
        assert [sum(move.pending for move in entry.moves) for entry in backend.entries(calls[0].id)] == [21, -21]

    def test_what_is_not_kept_returns_and_nobody_keeps_more_than_is_left(self, backend: LeaseBackend) -> None:
        """A claim is an upper bound; an account that is not named is given back whole."""
        self.enlisted(backend, day=50, session=50)
        call = a_call()
        found = self.settle(backend, 1, [reserving(call)], day=1000)
        assert (found[DAY.key], found[SESSION.key]) == (leased(40, 0, 10), leased(0, 0, 10))
        assert self.settle(backend, 2, [], day=7)[DAY.key] == leased(7, 0, 10)
        self.settle(backend, 3, [])
        assert self.day(backend) == leased(0, 0, 10)

    def test_an_overrun_takes_from_the_lease_first_and_is_posted_in_full(self, backend: LeaseBackend) -> None:
        """Above the lease too; the lease is then empty, never negative."""
        self.enlisted(backend, day=20)
        one, two = a_call(), a_call()
        some = [Hold(DAY, 10, 100, 100)]
        self.settle(backend, 1, [reserving(one, some=some), posting(one, 15)], day=ALL)
        assert self.day(backend) == leased(5, 15)
        self.settle(backend, 2, [reserving(two, some=some), posting(two, 40)], day=ALL)
        assert self.day(backend) == leased(0, 55)

    def test_an_account_without_a_lease_is_held_and_spent_all_the_same(self, backend: LeaseBackend) -> None:
        """Observed budgets: counted, opened on sight, and the difference is no lease unless it is kept."""
        self.enlisted(backend)
        call = a_call()
        observed = [Hold(DAY, 10, None, 5)]
        assert self.settle(backend, 1, [reserving(call, some=observed)])[DAY.key] == leased(0, 0, 10)
        assert backend.accounts()[0].limit == 5
        assert self.settle(backend, 2, [posting(call, 3)])[DAY.key] == leased(0, 3)

    def test_an_offset_that_was_applied_changes_nothing(self, backend: LeaseBackend) -> None:
        """Law 3: the reply was lost, so the batch comes again."""
        self.enlisted(backend, day=50, session=50, turns=5)
        call = a_call()
        verbs: list[LeaseVerb] = [reserving(call), posting(call, 7)]
        first = self.settle(backend, 10, verbs, day=43, session=43, turns=4)
        assert self.settle(backend, 10, verbs, day=43, session=43, turns=4) == first
        self.settle(backend, 10, [])
        self.settle(backend, 4, [reserving(a_call())])
        assert self.day(backend) == leased(43, 7)
        assert len(backend.entries()) == 2

    def test_a_batch_and_its_offset_move_together_or_not_at_all(self, backend: LeaseBackend) -> None:
        """A verb that contradicts the book undoes the whole batch; without it the same offset works."""
        self.enlisted(backend, day=50)
        call, other = a_call(), a_call()
        some = [Hold(DAY, 10, 100, 100)]
        self.settle(backend, 1, [reserving(call, some=some), posting(call, 7)], day=ALL)
        with pytest.raises(ConflictingEntryError):
            self.settle(backend, 2, [reserving(other, some=some), posting(call, 8)], day=ALL)
        with pytest.raises(KeyError):
            self.settle(backend, 2, [reserving(other, some=some), posting(a_call(), 8)], day=ALL)
        assert backend.call(other.id) is None
        assert self.day(backend) == leased(43, 7)
        self.settle(backend, 2, [reserving(other, some=some)], day=ALL)
        assert self.day(backend) == leased(33, 7, 10)

    def test_a_verb_that_the_book_has_already_is_passed_over(self, backend: LeaseBackend) -> None:
        """With the same content; with other content, or voided before, the call is named."""
        self.enlisted(backend, day=50)
        call, gone = a_call(), a_call()
        some = [Hold(DAY, 10, 100, 100)]
        self.settle(backend, 1, [reserving(call, some=some), posting(call, 7)], day=ALL)
        self.settle(backend, 2, [reserving(call, some=some), posting(call, 7)], day=ALL)
        assert self.day(backend) == leased(43, 7)
        with pytest.raises(ConflictingEntryError) as caught:
            self.settle(backend, 3, [reserving(call, some=[Hold(DAY, 11, 100, 100)])], day=ALL)
        assert caught.value.call_id == call.id
        backend.void(gone.id, a_settlement(0))
        with pytest.raises(AlreadyVoidedError):
            self.settle(backend, 3, [reserving(gone, some=some)], day=ALL)

    def test_an_own_hold_that_was_forgotten_is_assumed_and_the_truth_corrects_it(self, backend: LeaseBackend) -> None:
        """Whatever has happened to the call meanwhile, assuming it is no contradiction."""
        self.enlisted(backend, day=50)
        call = a_call()
        quote = Settlement(
            at=LATER, outcome=OutcomeKind.UNKNOWN, amounts={DAY.key: 10}, cost_nanos=10, certainty=Certainty.ASSUMED
        )
        assumed = SettleVerb(call.id, quote, is_assumed=True)
        self.settle(backend, 1, [reserving(call, some=[Hold(DAY, 10, 100, 100)]), assumed], day=ALL)
        assert self.day(backend) == Balance(10, 0, 10, 40)
        kept = backend.call(call.id)
        assert kept is not None
        assert kept.state is CallState.ASSUMED
        assert backend.entries(call.id)[-1].kind is EntryKind.EXPIRE
        backend.post(call.id, a_settlement(4))
        self.settle(backend, 2, [assumed], day=ALL)
        assert self.day(backend) == leased(40, 4)

    def test_events_are_kept_with_the_verbs_they_came_with(self, backend: LeaseBackend) -> None:
        """In order, once."""
        self.enlisted(backend)
        call, one, two = a_call(), an_event("1"), an_event("2")
        end = Settlement(at=T0, outcome=OutcomeKind.COMPLETED)
        verbs: list[LeaseVerb] = [ReserveVerb(call, (), LATER, (one,)), SettleVerb(call.id, end, events=(two,))]
        self.settle(backend, 1, verbs)
        self.settle(backend, 1, verbs)
        assert backend.events() == (one, two)

    def test_open_calls_of_a_listed_owner_do_not_expire(self, backend: LeaseBackend) -> None:
        """Their deadline is its own affair; `recover` closes them when it is gone."""
        self.enlisted(backend, day=50)
        call = a_call()
        self.settle(backend, 1, [reserving(call, some=[Hold(DAY, 10, 100, 100)])], day=ALL)
        assert backend.expire(LATER + timedelta(days=1)) == ()
        assert self.day(backend) == leased(40, 0, 10)
        assert [found.id for found in backend.recover("one", 0, [], is_lost=False, now=LATER)] == [call.id]
        assert backend.expire(LATER + timedelta(days=1)) == ()

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
