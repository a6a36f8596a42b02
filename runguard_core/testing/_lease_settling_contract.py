"""What settling does to a store that grants leases: the second part of its contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from runguard_core.calls import Certainty, OutcomeKind
from runguard_core.errors import AlreadyVoidedError, ConflictingEntryError
from runguard_core.ledger import (
    Balance,
    CallState,
    EntryKind,
    Hold,
    LeaseBackend,
    LeaseVerb,
    ReserveVerb,
    Settlement,
    SettleVerb,
)
from runguard_core.testing._lease_values import ALL, SOON, LeaseContractTools, leased, posting, reserving
from runguard_core.testing._ledger_values import DAY, LATER, SESSION, T0, TURNS, a_call, a_settlement, an_event


class SettlingContract(LeaseContractTools):
    """Law 2 and 3."""

    def test_what_an_owner_has_is_told_where_somebody_else_has_ended_its_call(self, backend: LeaseBackend) -> None:
        """The rest of the call has gone to the account; to free it here too would spend it twice."""
        self.enlisted(backend, day=40)
        self.enlisted(backend, "two", day=40)
        call = a_call()
        verbs = [reserving(call, some=[Hold(DAY, 30, 100, 100)])]
        assert backend.settle("one", 1, verbs, keep={DAY.key: 10}, deadline=SOON).rests == {DAY.key: 10}
        backend.post(call.id, posting(call, 5).settlement)
        heard = backend.settle("one", 2, [posting(call, 5)], keep={DAY.key: 35}, deadline=SOON)
        assert (heard.rests, heard.balances[DAY.key]) == ({DAY.key: 10}, leased(50, 5))
        again = backend.settle("one", 2, [posting(call, 5)], keep={DAY.key: 35}, deadline=SOON)
        assert (again.rests, backend.verify()) == ({DAY.key: 10}, ())

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
