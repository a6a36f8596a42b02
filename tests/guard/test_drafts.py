"""Rows that are built when read say the same as rows that were written at once; what is kept from call to call stays true."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runguard_core import Budget, CallFilter, ModelCall, Outcome, OutcomeKind, PromptPart, RefusedError, ToolCall, Usage
from runguard_core.detectors import Turn
from runguard_core.errors import StoreUnavailableError
from runguard_core.guard._callers import Caller
from runguard_core.guard._runs import Lane, RunState
from runguard_core.stores import MemoryStore

from .clock import FakeClock
from .spending import CENT, ONE, spend

CALL = ModelCall(model="cent", parts=(PromptPart("user", 40), PromptPart("tool:x", 7)), max_output_tokens=2, key_fingerprint="k")


class Arguments(dict[str, Any]):
    """Arguments whose end can be seen."""


def parts_of_runs() -> int:
    """How many of them there are, garbage included."""
    return sum(isinstance(one, (RunState, Lane, Caller, Turn)) for one in gc.get_objects())


def played(make_guard: Any, store: str) -> Any:
    """One session with every kind of ending."""
    clock = FakeClock()
    guard = make_guard(store=store, clock=clock, prices=CENT, budgets=[Budget("9 USD", per=["session"]), Budget("90 calls")])
    with guard.session("s", agent="a", user="u", tags={"t": "1"}) as session:
        session.reserve(CALL).post(ONE)
        clock.advance(seconds=2)
        session.reserve(CALL).settle(Outcome(usage=ONE, model="other", attempt_count=2, tool_names=("x",), output_chars=3))
        session.reserve(CALL).settle(Outcome(kind=OutcomeKind.FAILED, error="E: x", error_status=429, output_chars=3))
        session.reserve(CALL).abandon(8)
        session.reserve(ToolCall(name="x", arguments={"q": 1})).settle(Outcome(result="found"))
    return guard


def test_a_ledger_in_memory_reads_like_one_in_a_file(make_guard: Any, tmp_path: Path) -> None:
    """Calls, entries, balances: everything but ids and digests under chance keys."""
    one, other = played(make_guard, "memory://"), played(make_guard, f"sqlite:///{tmp_path / 'l.db'}")
    stores = one.store, other.store
    calls = [
        [
            replace(call, id="", signature=None, attribution=replace(call.attribution, run=""),
                    settlement=replace(call.settlement, result_hash=None))
            for call in store.calls(CallFilter())
        ]
        for store in stores
    ]  # fmt: skip
    assert calls[0] == calls[1]
    assert len(calls[0]) == 5
    entries = [[(e.kind, e.at, e.moves, e.cost_nanos, e.reason) for e in store.entries()] for store in stores]
    assert entries[0] == entries[1]
    assert [(row.account, row.balance) for row in one.store.accounts()] == [
        (row.account, row.balance) for row in other.store.accounts()
    ]
    assert one.store.verify() == other.store.verify() == ()


def test_verify_finds_a_balance_that_its_lines_do_not_explain(make_guard: Any) -> None:
    """Moves are worked out from holds and settlements, not read off the balances."""
    guard = make_guard(prices=CENT, budgets=[Budget("9 USD")])
    spend(guard, 3)
    (account,) = guard.store._accounts.values()
    account.posted -= 1
    assert [found.where for found in guard.store.verify()] == ["account app test"]
    account.posted += 1


def test_a_tools_arguments_and_result_are_not_kept_with_its_row(make_guard: Any) -> None:
    """A draft holds the tool's name only, and so does what waits for the watch of spend: here behind a listener that takes long."""
    go_on = threading.Event()
    guard = make_guard(listeners=[lambda event: go_on.wait(30)])
    guard.kill("agent:other", reason="an event to be busy with")
    arguments, result = Arguments(q="secret"), Arguments(found="secret")
    seen = weakref.ref(arguments), weakref.ref(result)
    with guard.session("s") as session:
        session.reserve(ToolCall(name="x", arguments=arguments)).settle(Outcome(result=result))
    del arguments, result
    assert [ref() for ref in seen] == [None, None]
    assert [call.name for call in guard.store.calls(CallFilter())] == ["x"]
    go_on.set()


def test_a_call_of_the_same_run_for_somebody_else_is_filed_under_them(make_guard: Any) -> None:
    """The lane remembers its last caller; the next one may be another."""
    guard = make_guard(prices=CENT, budgets=[Budget("0.02 USD", per=["user"])])
    with guard.session("s", agent="a") as session:
        for user in ("ann", "bob"):
            session.reserve(CALL, user=user).post(ONE)
        with pytest.raises(RefusedError):
            session.reserve(CALL, user="ann")
        assert [call.attribution.user for call in session.calls()] == ["ann", "bob"]
        assert len({call.attribution.run for call in session.calls()}) == 1


def test_a_raised_limit_holds_for_the_very_next_call(make_guard: Any) -> None:
    """The plan in use is not good any more."""
    guard = make_guard(prices=CENT, budgets=[Budget("0.02 USD", name="b", per=["session"])])
    with guard.session("s") as session:
        session.reserve(CALL).post(ONE)
        session.raise_limit("0.05 USD", budget="b")
        for _ in range(2):
            session.reserve(CALL).post(ONE)


def test_a_run_that_is_over_leaves_nothing_to_the_collector(make_guard: Any) -> None:
    """What a run's parts know of each other is let go at its end: a program of many short runs makes no garbage."""
    guard = make_guard(prices=CENT)
    gc.collect()
    gc.disable()
    try:
        before = parts_of_runs()
        with guard.session("s", agent="a") as session:
            session.reserve(CALL).post(ONE)
            assert parts_of_runs() > before
        guard.flush()  # the watch of spend has looked at the call and let it go
        assert parts_of_runs() == before
    finally:
        gc.enable()


def test_a_budget_by_turn_starts_anew_with_every_turn(make_guard: Any) -> None:
    """No plan is carried from one turn into the next; a repeat of a failed call stays in its turn."""
    guard = make_guard(prices=CENT, budgets=[Budget("1 calls", period="turn")])
    with guard.session("s") as session:
        for _ in range(3):
            held = session.reserve(CALL)
            held.post(ONE)
        with pytest.raises(RefusedError):
            session.reserve(replace(CALL, retry_of=held.call_id))


def test_a_refused_call_is_no_part_of_its_run(make_guard: Any) -> None:
    """Neither its quote nor the call is counted, however often it is tried."""
    guard = make_guard(prices=CENT, budgets=[Budget("0.03 USD")])
    with guard.session("s") as session:
        session.reserve(CALL).post(ONE)
        session.reserve(CALL).post(ONE)
        for _ in range(2):
            with pytest.raises(RefusedError) as caught:
                session.reserve(ModelCall(model="cent", max_output_tokens=2))
            assert caught.value.summary is not None
            assert (caught.value.summary.call_count, caught.value.summary.spent_nanos) == (2, 2 * 10**7)
            guard.reset(f"run:{session.attribution.run}", reason="again")


class Forgetful(MemoryStore):
    """Cannot say which limits were raised."""

    def overrides(self) -> Any:
        """Away."""
        raise StoreUnavailableError("memory", "away", "wait")


def test_a_call_that_is_priced_before_the_store_fails_is_counted_once(make_guard: Any) -> None:
    """Admitting it unverified prices it no second time."""
    guard = make_guard(store=Forgetful(), prices=CENT, on_store_error="admit")
    with guard.session("s") as session:
        held = session.reserve(CALL)
        assert (held.attribution.turn, held._it.state.turn_count, held._it.state.call_count) == (1, 1, 1)
        held.post(Usage(output_tokens=1))
        assert held._it.state.spent_nanos == 10**7
    guard.flush()
