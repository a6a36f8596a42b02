"""`StoreContract`: the suite every store inherits. A subclass says only how to get one.

It needs pytest, which only those who test a store have; that is why it is not part of `runguard_core.testing` itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from runguard_core.calls import Certainty, OutcomeKind
from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError
from runguard_core.ledger import (
    Account,
    Applied,
    Balance,
    CallFilter,
    CallRecord,
    CallState,
    EntryKind,
    Hold,
    Latch,
    LatchState,
    LimitOverride,
    Refusal,
    Reserved,
    Settlement,
    Store,
    Unit,
)
from runguard_core.testing._contract_hostile import HostileContract
from runguard_core.testing._events_contract import EventsContract
from runguard_core.testing._ledger_values import DAY, LATER, SESSION, T0, TURNS, a_call, a_settlement, an_event, holds
from runguard_core.testing._totals_contract import TotalsContract, assert_totals_are_true


class StoreContract(TotalsContract, EventsContract, HostileContract):
    """What must hold for every store; see the laws in `runguard_core.ledger._store`."""

    @pytest.fixture(autouse=True)
    def _balanced(self, store: Store) -> Iterator[None]:
        """After every test the book agrees with itself."""
        yield
        assert store.verify() == ()
        assert_totals_are_true(store)

    def reserve(self, store: Store, call: CallRecord, some: list[Hold], expires_at: datetime = LATER) -> Reserved | Refusal:
        """Reserve as a guard does."""
        return store.reserve(call, some, expires_at=expires_at, owner="test")

    def test_all_accounts_are_held_or_none(self, store: Store) -> None:
        """The second account refuses, so the first keeps nothing."""
        tight = [Hold(DAY, 10, 100, 100), Hold(SESSION, 10, 9, 9)]
        found = self.reserve(store, a_call(), tight)
        assert found == Refusal(tight[1], Balance())
        assert store.balances([DAY.key, SESSION.key]) == {DAY.key: Balance(), SESSION.key: Balance()}

    def test_the_limit_may_be_reached_exactly_and_not_passed(self, store: Store) -> None:
        """Amount <= limit - posted - pending."""
        assert isinstance(self.reserve(store, a_call(), [Hold(DAY, 60, 100)]), Reserved)
        assert isinstance(self.reserve(store, a_call(), [Hold(DAY, 40, 100)]), Reserved)
        refused = self.reserve(store, a_call(), [Hold(DAY, 1, 100)])
        assert isinstance(refused, Refusal)
        assert refused.balance == Balance(0, 100, 0)
        assert isinstance(self.reserve(store, a_call(), [Hold(DAY, 0, 100)]), Reserved)

    def test_observed_holds_refuse_nothing(self, store: Store) -> None:
        """A hold without a limit is counted past any shown one."""
        found = self.reserve(store, a_call(), [Hold(DAY, 10**15, None, 5)])
        assert isinstance(found, Reserved)
        assert found.balances == (Balance(0, 10**15, 0),)
        assert store.accounts()[0].limit == 5

    def test_post_replaces_the_hold_by_the_full_amount(self, store: Store) -> None:
        """Also above the hold and the limit."""
        call = a_call()
        self.reserve(store, call, holds(10, 20))
        settled = store.post(call.id, a_settlement(35))
        assert settled.applied is Applied.CREATED
        assert settled.balances == {DAY.key: Balance(35), SESSION.key: Balance(35), TURNS.key: Balance(1)}
        kept = store.call(call.id)
        assert kept == replace(call, state=CallState.POSTED, settlement=a_settlement(35))

    def test_void_hands_everything_back(self, store: Store) -> None:
        """Nothing was billed."""
        call = a_call()
        self.reserve(store, call, holds(10))
        assert store.void(call.id, a_settlement(0)).balances[DAY.key] == Balance()
        kept = store.call(call.id)
        assert kept is not None
        assert (kept.state, kept.cost_nanos) == (CallState.VOIDED, 0)

    def test_every_verb_may_be_said_twice(self, store: Store) -> None:
        """The same content answers the same and changes nothing."""
        call = a_call()
        first = self.reserve(store, call, holds(10))
        again = self.reserve(store, call, holds(10))
        assert isinstance(first, Reserved)
        assert isinstance(again, Reserved)
        assert (again.applied, again.balances) == (Applied.EXISTS, first.balances)
        store.post(call.id, a_settlement(7))
        assert store.post(call.id, a_settlement(7)).applied is Applied.EXISTS
        other = a_call()
        self.reserve(store, other, holds(10))
        store.void(other.id, a_settlement(0))
        assert store.void(other.id, a_settlement(0)).applied is Applied.EXISTS
        assert store.balances([DAY.key])[DAY.key] == Balance(7)

    def test_other_content_under_the_same_id_is_a_conflict(self, store: Store) -> None:
        """And leaves the book alone."""
        call = a_call()
        self.reserve(store, call, holds(10))
        with pytest.raises(ConflictingEntryError):
            self.reserve(store, call, holds(11))
        with pytest.raises(ConflictingEntryError):
            self.reserve(store, replace(call, name="other"), holds(10))
        store.post(call.id, a_settlement(7))
        with pytest.raises(ConflictingEntryError):
            store.post(call.id, a_settlement(8))
        with pytest.raises(AlreadyPostedError):
            store.void(call.id, a_settlement(0))
        assert store.balances([DAY.key])[DAY.key] == Balance(7)

    def test_a_void_that_comes_first_leaves_a_tombstone(self, store: Store) -> None:
        """The reserve that arrives late must not slip in."""
        call = a_call()
        assert store.void(call.id, a_settlement(0)).applied is Applied.CREATED
        assert store.void(call.id, a_settlement(0)).applied is Applied.EXISTS
        with pytest.raises(AlreadyVoidedError):
            self.reserve(store, call, holds(10))
        with pytest.raises(AlreadyVoidedError):
            store.post(call.id, a_settlement(1))

    def test_a_voided_call_stays_voided(self, store: Store) -> None:
        """Neither post nor reserve brings it back."""
        call = a_call()
        self.reserve(store, call, holds(10))
        store.void(call.id, a_settlement(0))
        with pytest.raises(AlreadyVoidedError):
            store.post(call.id, a_settlement(1))
        with pytest.raises(AlreadyVoidedError):
            self.reserve(store, call, holds(10))

    def test_unknown_ids_are_key_errors(self, store: Store) -> None:
        """Nothing can be posted or adjusted that was never reserved."""
        with pytest.raises(KeyError):
            store.post("nobody", a_settlement(1))
        with pytest.raises(KeyError):
            store.adjust("nobody", a_settlement(1), "why")
        assert store.call("nobody") is None

    def test_an_overdue_hold_is_charged_at_its_quote(self, store: Store) -> None:
        """Nothing is handed back silently; on time it is left alone."""
        call = a_call()
        self.reserve(store, call, holds(10))
        assert store.expire(LATER - timedelta(microseconds=1)) == ()
        (assumed,) = store.expire(LATER)
        assert (assumed.id, assumed.state, assumed.cost_nanos) == (call.id, CallState.ASSUMED, 10)
        assert assumed.settlement is not None
        assert assumed.settlement.certainty is Certainty.ASSUMED
        assert store.balances([DAY.key])[DAY.key] == Balance(10, 0, 10)
        assert store.expire(LATER) == ()

    def test_the_truth_that_arrives_late_corrects(self, store: Store) -> None:
        """Up, down, or to nothing."""
        for cost in (25, 3):
            call = a_call()
            before = store.balances([DAY.key])[DAY.key].posted
            self.reserve(store, call, holds(10, None))
            store.expire(LATER)
            assert store.post(call.id, a_settlement(cost)).applied is Applied.LATE
            assert store.balances([DAY.key])[DAY.key] == Balance(before + cost)
        call = a_call()
        self.reserve(store, call, holds(10, None))
        store.expire(LATER)
        assert store.void(call.id, a_settlement(0)).applied is Applied.LATE
        assert store.balances([DAY.key])[DAY.key] == Balance(28)

    def test_a_reserve_expires_what_is_overdue_first(self, store: Store) -> None:
        """A dead process's hold does not stand in the way for ever, and is not free either."""
        self.reserve(store, a_call(), [Hold(DAY, 10, 20)])
        found = self.reserve(store, a_call(at=LATER), [Hold(DAY, 10, 20)], LATER + timedelta(hours=1))
        assert isinstance(found, Reserved)
        assert found.balances == (Balance(10, 10, 10),)

    def test_extending_moves_deadlines_forward_only(self, store: Store) -> None:
        """Live owners renew."""
        call = a_call()
        self.reserve(store, call, holds(10))
        assert store.extend([call.id, "nobody"], LATER + timedelta(hours=1)) == 1
        assert store.extend([call.id], T0) == 1
        assert store.expire(LATER) == ()
        assert len(store.expire(LATER + timedelta(hours=1))) == 1
        assert store.extend([call.id], LATER) == 0

    def test_adjust_is_a_new_entry(self, store: Store) -> None:
        """The old line stays; only settled calls can be corrected."""
        call = a_call()
        self.reserve(store, call, holds(10))
        with pytest.raises(LookupError):
            store.adjust(call.id, a_settlement(9), "too early")
        store.post(call.id, a_settlement(9))
        store.adjust(call.id, a_settlement(4), "invoice")
        entries = store.entries(call.id)
        assert [e.kind for e in entries] == [EntryKind.PENDING, EntryKind.POST, EntryKind.ADJUST]
        assert [e.cost_nanos for e in entries] == [0, 9, -5]
        assert entries[-1].reason == "invoice"
        assert store.balances([DAY.key])[DAY.key] == Balance(4)

    def test_calls_are_found_by_who_and_when(self, store: Store) -> None:
        """Filters combine; the oldest comes first; a limit keeps the latest."""
        first = a_call(session="one", run="r1")
        second = a_call(session="two", run="r2", at=T0 + timedelta(hours=1), agent="b")
        assert all(self.reserve(store, call, [], LATER + timedelta(days=1)) for call in (first, second))
        assert [c.id for c in store.calls(CallFilter())] == [first.id, second.id]
        assert [c.id for c in store.calls(CallFilter(session="one"))] == [first.id]
        assert [c.id for c in store.calls(CallFilter(run="r2", agent="b", app="app"))] == [second.id]
        assert [c.id for c in store.calls(CallFilter(since=T0 + timedelta(minutes=1)))] == [second.id]
        assert [c.id for c in store.calls(CallFilter(until=T0 + timedelta(minutes=1)))] == [first.id]
        assert store.calls(CallFilter(state=CallState.POSTED)) == ()
        assert [c.id for c in store.calls(CallFilter(limit=1))] == [second.id]

    def test_everything_known_of_a_call_comes_back(self, store: Store) -> None:
        """Attribution, parts, usage, outcome: field by field."""
        call = a_call(feature="f", team="t", owner="o", user="u", instance="i", release="1.2", tags=(("a", "x"), ("b", "ü")))
        full = a_settlement(
            5, duration_seconds=1.5, model_answered="m-1", provider_request_id="req", error="E: x", error_status=500,
            attempt_count=2, from_cache=True, tool_names=("x", "y"), result_hash="h", result_chars=3, note="n",
            certainty=Certainty.ESTIMATED,
        )  # fmt: skip
        self.reserve(store, call, holds(10))
        assert store.call(call.id) == call
        store.post(call.id, full)
        assert store.call(call.id) == replace(call, state=CallState.POSTED, settlement=full)

    def test_unpriced_calls_keep_no_price(self, store: Store) -> None:
        """None is not 0."""
        call = replace(a_call(), quote_nanos=None)
        self.reserve(store, call, [])
        store.post(call.id, Settlement(at=T0, outcome=OutcomeKind.COMPLETED, cost_nanos=None, certainty=Certainty.UNPRICED))
        kept = store.call(call.id)
        assert kept is not None
        assert kept.settlement is not None
        assert (kept.quote_nanos, kept.settlement.cost_nanos, kept.cost_nanos) == (None, None, 0)

    def test_amounts_are_exact_to_2_to_the_62(self, store: Store) -> None:
        """No double comes near them."""
        for amount in (2**53 - 1, 2**53 + 1):
            call = a_call()
            account = Account(f"big-{amount}", Unit.USD)
            self.reserve(store, call, [Hold(account, amount, 2**62)])
            store.post(call.id, Settlement(at=T0, outcome=OutcomeKind.COMPLETED, amounts={account.key: amount}))
            assert store.balances([account.key])[account.key].posted == amount
            assert isinstance(self.reserve(store, a_call(), [Hold(account, 2**62 - amount + 1, 2**62)]), Refusal)
            assert isinstance(self.reserve(store, a_call(), [Hold(account, 2**62 - amount, 2**62)]), Reserved)

    def test_latches_are_set_replaced_and_dropped(self, store: Store) -> None:
        """One per scope."""
        latch = Latch(scope_kind="run", scope_id="r", state=LatchState.OPEN, rule="repeat", reason="x", since=T0,
                      until=LATER, account_key="day", marks=("a", "b"), session="s")  # fmt: skip
        assert dict(store.latches()) == {}
        store.put_latch(latch, [an_event()])
        assert dict(store.latches()) == {("run", "r"): latch}
        held = replace(latch, state=LatchState.HALF_OPEN)
        store.put_latch(held)
        assert dict(store.latches()) == {("run", "r"): held}
        assert store.drop_latch("run", "r") is True
        assert store.drop_latch("run", "r") is False
        assert dict(store.latches()) == {}
        assert len(store.events()) == 1

    def test_a_persons_kill_is_replaced_by_a_persons_only(self, store: Store) -> None:
        """Not by a rule that trips a moment later."""
        killed = Latch(scope_kind="app", scope_id="a", state=LatchState.FORCED_OPEN, rule="kill", reason="x", since=T0)
        for latch in (killed, replace(killed, rule="repeat", state=LatchState.OPEN)):
            store.put_latch(latch)
        assert dict(store.latches()) == {("app", "a"): killed}
        ending = replace(killed, until=LATER)
        store.put_latch(ending)
        for at, there in ((LATER - timedelta(microseconds=1), ending), (LATER, None)):
            tripped = replace(killed, rule="repeat", state=LatchState.OPEN, since=at)
            store.put_latch(tripped)
            assert dict(store.latches()) == {("app", "a"): there or tripped}

    def test_overrides_are_set_and_replaced(self, store: Store) -> None:
        """One per account."""
        override = LimitOverride(account_key="day", limit=7, by="ann", reason="why", since=T0, until=None)
        for one in (override, replace(override, limit=8)):
            store.put_override(one)
            assert dict(store.overrides()) == {"day": one}
