"""What stops a sub-agent, and what becomes of its part when its end is not heard of."""

from __future__ import annotations

import gc
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runguard_core import Guard, ModelCall, RefusedError, ToolCall, TrippedError
from runguard_core import events as ev
from runguard_core.budgets import Mode
from runguard_core.calls import CallKind
from runguard_core.guard import AnomalyRules
from runguard_core.ledger import CallFilter, CallState

from .children import posted
from .clock import FakeClock
from .spending import CENT, ONE, kinds, spend


def test_a_loop_of_the_child_stops_the_child_only(make_guard: Any) -> None:
    """Neither the parent's run nor the session's next one."""
    guard = make_guard(max_cost_per_session_usd="1", prices=CENT)
    with guard.session("s") as parent:
        with parent.child("0.10 USD") as child:
            with pytest.raises(TrippedError):
                for _ in range(9):
                    with guard.reserve(ToolCall(name="search", arguments={"q": "x"})) as call:
                        call.post(result="nothing")
            assert child.stopped is not None
            assert spend(guard) == 0
        assert [latch.scope for latch in guard.store.latches().values()] == [("run", child.run)]
        assert parent.stopped is None
        assert spend(guard) == 1


@pytest.mark.parametrize("scope", ["session:s", "app", "run"])
def test_whoever_stops_the_parent_stops_its_children(make_guard: Any, scope: str) -> None:
    """And their children."""
    guard = make_guard(max_cost_per_session_usd="1", prices=CENT)
    with guard.session("s") as parent, parent.child("0.20 USD") as child, child.child("0.10 USD") as grandchild:
        guard.kill(f"run:{parent.attribution.run}" if scope == "run" else scope, reason="enough")
        assert spend(guard) == 0
        assert (child.stopped, grandchild.stopped) == (parent.stopped, parent.stopped)
        assert parent.stopped is not None
        with pytest.raises(TrippedError, match="enough"), grandchild.child("0.01 USD"):
            pytest.fail("nothing starts any more")


def test_a_parent_that_is_out_of_money_does_not_stop_children_that_have_theirs(make_guard: Any) -> None:
    """The latch of a refusal is the parent's run's; a part is paid for."""
    guard = make_guard(max_cost_per_session_usd="0.05", prices=CENT)
    with guard.session("s") as parent, parent.child("0.05 USD"):
        with pytest.raises(RefusedError):
            parent.reserve(ModelCall(model="cent", max_output_tokens=6))
        assert parent.stopped is not None, "it would not fit even if nobody had a part"
        assert spend(guard, 9) == 5


def test_a_child_that_is_a_probes_child_is_no_probe_itself(make_guard: Any) -> None:
    """And its end does not end the probation of the run above."""
    guard = make_guard(max_cost_per_session_usd="1", prices=CENT)
    with guard.session("s"), pytest.raises(TrippedError):
        for _ in range(9):
            with guard.reserve(ToolCall(name="search", arguments={"q": "x"})) as call:
                call.post(result="nothing")
    with guard.session("s") as parent:
        with parent.child("0.10 USD"), guard.reserve(ToolCall(name="search", arguments={"q": "x"})) as call:
            call.post(result="something")
        assert ("session", "s") in guard.store.latches()
        spend(guard, 1)
    assert ("session", "s") not in guard.store.latches()


def test_a_call_that_outlives_its_child_corrects_the_parent(make_guard: Any) -> None:
    """It is charged at its quote when the block ends, and by the truth when that is known."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent:
        with parent.child("0.05 USD"):
            held = guard.model_call("cent", max_output_tokens=3)
            with parent.child("0.02 USD"):
                spend(guard, 1)
            assert guard.store.call(held.call_id).state is CallState.PENDING, "another's end is not its own"
        assert guard.store.call(held.call_id).state is CallState.POSTED
        assert posted(guard, "session s") == (4, 0)
        held.post(ONE)
        assert posted(guard, "session s") == (2, 0)
        assert parent.spent_usd == Decimal("0.02")


def test_a_crashed_childs_part_is_assumed_in_full_and_corrected_by_whoever_notices(tmp_path: Path) -> None:
    """By the heartbeat of another process, also when the part expired in that process's own reserve."""
    clock, path = FakeClock(), f"sqlite:///{tmp_path}/l.db"
    settings: Any = {"app": "t", "store": path, "prices": CENT, "clock": clock, "hold_seconds": 60, "daily_budget_usd": "0.10"}
    settings["anomalies"] = AnomalyRules(mode=Mode.OFF)  # it looks by itself
    dead, other = Guard(**settings), Guard(**settings)
    child = dead.session("s").child("0.06 USD")
    child.__enter__()
    spend(dead, 2)
    other._engine.renew()  # it has seen the part
    clock.advance(seconds=61)
    assert spend(other, 9) == 4, "the first reserve lets the part expire: assumed in full"
    (entry,) = other.store.calls(CallFilter(state=CallState.ASSUMED))
    assert entry.kind is CallKind.CHILD
    other._engine.renew()
    days = [row.balance for row in other.store.accounts() if "day" in row.account.title]
    assert [(one.posted // 10**7, one.pending, one.assumed) for one in days] == [(6, 0, 0)]
    assert other.store.verify() == ()
    child.__exit__(None, None, None)
    for guard in (dead, other):
        guard.close()


def test_what_was_in_flight_in_a_crashed_child_counts_as_spent(tmp_path: Path) -> None:
    """Its hold is younger than the part's: the part expires first."""
    clock = FakeClock()
    settings: Any = {"app": "t", "store": f"sqlite:///{tmp_path}/l.db", "prices": CENT, "clock": clock, "hold_seconds": 60}
    settings |= {"daily_budget_usd": "0.10", "anomalies": AnomalyRules(mode=Mode.OFF)}
    dead, other = Guard(**settings), Guard(**settings)
    child = dead.session("s").child("0.06 USD")
    with child:
        clock.advance(seconds=30)
        dead.model_call("cent", max_output_tokens=2)
        for seconds, state in ((31, CallState.PENDING), (30, CallState.ASSUMED)):
            clock.advance(seconds=seconds)
            other._engine.renew()
            (call,) = child.calls()
            assert call.state is state
            (day,) = [row.balance for row in other.store.accounts() if "day" in row.account.title]
            assert (day.posted // 10**7, day.pending) == (2, 0)
    for guard in (dead, other):
        guard.close()


def test_a_part_that_expires_in_the_heartbeat_is_corrected_there(make_guard: Any) -> None:
    """A child that was let go of without a word holds its part until then, and no longer."""
    clock = FakeClock()
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT, clock=clock, hold_seconds=60)
    with guard.session("s") as parent:

        def forgetful() -> Any:
            with parent.child("0.06 USD"):
                spend(guard, 1)
                yield

        started = forgetful()
        next(started)
        clock.advance(seconds=50)
        guard._engine.renew()
        clock.advance(seconds=50)
        guard._engine.renew()
        assert posted(guard, "session s") == (0, 6), "as long as it lives, its part is renewed"
        guard._engine.parts.forget(*guard._engine.parts.ids())
        clock.advance(seconds=61)
        guard._engine.renew()
        assert posted(guard, "session s") == (1, 0)
        started.close()
    assert posted(guard, "session s") == (1, 0)
    assert ev.CALL_ASSUMED not in kinds(guard)


def test_a_child_that_is_collected_lets_its_part_expire(make_guard: Any) -> None:
    """Nobody holds it, so nobody will close it."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT, hold_seconds=60, clock=(clock := FakeClock()))
    parent = guard.session("s")

    def forgotten() -> None:
        parent.child("0.06 USD").__enter__()

    thread = threading.Thread(target=forgotten)  # its context goes with it
    thread.start()
    thread.join()
    del thread
    gc.collect()
    assert guard._engine.parts.ids() == []
    clock.advance(seconds=61)
    guard._engine.renew()
    assert posted(guard, "session s") == (0, 0)
