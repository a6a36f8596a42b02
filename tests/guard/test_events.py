"""Who hears what: listeners, the budget callback, kill file, probes, clocks."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runguard_core import Budget, BudgetExceeded, CallFilter, Event, Guard, StoppedError, ToolCall, TrippedError, Usage
from runguard_core import events as ev
from runguard_core.guard._engine import KILL_FILE_SECONDS
from runguard_core.guard._time import SteadyClock
from runguard_core.ledger import CallState, LatchState

from .clock import FakeClock
from .spending import CENT, ONE, kinds, spend


def loop_once(guard: Guard, session: str, argument: str = "same", tries: int = 9) -> int:
    """Call a tool with equal arguments and results until stopped; how often it ran."""
    ran = 0
    with guard.session(session):
        for _ in range(tries):
            try:
                guard.reserve(ToolCall(name="f", arguments={"q": argument})).post(result="equal")
            except StoppedError:
                return ran
            ran += 1
    return ran


def test_listeners_hear_everything_in_order_on_one_thread(make_guard: Any) -> None:
    """What they return is ignored, what they raise is logged, and later ones still hear."""
    heard: list[tuple[str, str]] = []

    def broken(event: Event) -> None:
        raise RuntimeError(event.kind)

    guard = make_guard(budgets=[Budget("0.02 USD", thresholds=[0.5])], prices=CENT, listeners=[broken])
    guard.listen(lambda event: heard.append((event.kind, threading.current_thread().name)))
    with guard.session("s"):
        spend(guard, 5)
    assert guard.flush()
    assert [kind for kind, _ in heard] == kinds(guard)
    assert {name for _, name in heard} == {"runguard-dispatch"}


def test_a_listener_of_some_kinds_hears_those(make_guard: Any) -> None:
    """And what is done before closing comes behind the last of them."""
    heard: list[str] = []
    guard = make_guard(budgets=[Budget("0.02 USD", thresholds=[0.5])], prices=CENT)
    guard.listen(lambda event: heard.append(event.kind), kinds={ev.KILLED})
    guard.before_close(lambda: heard.append("end"))
    with guard.session("s"):
        spend(guard, 5)
    assert kinds(guard)
    guard.kill("agent:planner", reason="runaway")
    guard.close()
    assert heard == [ev.KILLED, "end"]


@pytest.mark.parametrize("is_async", [False, True])
def test_the_budget_callback_gets_app_session_and_cost(make_guard: Any, is_async: bool) -> None:
    """Sync or async."""
    heard: list[BudgetExceeded] = []

    async def later(context: BudgetExceeded) -> None:
        await asyncio.sleep(0)
        heard.append(context)

    callback = later if is_async else heard.append
    guard = make_guard(app="ai-search", max_cost_per_session_usd="0.02", prices=CENT, on_budget_exceeded=callback)
    with guard.session("s-1"):
        spend(guard, 5)
    assert guard.flush()
    (context,) = heard
    assert (context.app, context.session_id, str(context.current_cost_usd), context.enforced) == (
        "ai-search",
        "s-1",
        "0.02",
        True,
    )


async def test_async_listeners_run_on_the_loop_of_the_admission(make_guard: Any) -> None:
    """While it lives."""
    heard: asyncio.Queue[tuple[Event, Any]] = asyncio.Queue()

    async def listen(event: Event) -> None:
        await heard.put((event, asyncio.get_running_loop()))

    guard = make_guard(budgets=[Budget("0.01 USD")], prices=CENT, listeners=[listen])
    with pytest.raises(StoppedError):
        guard.model_call("cent", max_output_tokens=5)
    event, loop = await asyncio.wait_for(heard.get(), 10)
    assert (event.kind, loop) == (ev.CALL_REFUSED, asyncio.get_running_loop())


def test_closing_delivers_what_is_queued(make_guard: Any) -> None:
    """Nothing said is lost when the guard is closed at once."""
    heard: list[str] = []
    guard = make_guard(budgets=[Budget("0.01 USD")], prices=CENT, listeners=[lambda e: heard.append(e.kind)])
    for _ in range(50):
        with pytest.raises(StoppedError):
            guard.model_call("cent", max_output_tokens=5)
    guard.close()
    assert heard.count(ev.CALL_REFUSED) == 50


def test_a_kill_file_stops_everything_until_it_is_gone(make_guard: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works when the store is down, too; the file is looked for within a stated time, and once found at every call."""
    file, clock = tmp_path / "stop", FakeClock()
    monkeypatch.setenv("RUNGUARD_KILL_FILE", str(file))
    guard = make_guard(prices=CENT, clock=clock)
    assert spend(guard) == 1
    file.touch()
    clock.advance(seconds=KILL_FILE_SECONDS)
    for _ in range(2):
        with pytest.raises(TrippedError, match="kill file"):
            guard.model_call("cent", max_output_tokens=1)
    file.unlink()
    assert spend(guard) == 1


@pytest.mark.parametrize("scope", ["app", "agent:a", "feature:f", "session:s"])
def test_a_kill_stops_its_scope_only(make_guard: Any, scope: str) -> None:
    """And needs a reason to be undone."""
    guard = make_guard(prices=CENT)
    guard.kill(scope, reason="stop it", by="ann")
    with guard.session("s", agent="a", feature="f"), pytest.raises(TrippedError, match="stop it"):
        guard.model_call("cent", max_output_tokens=1)
    with guard.session("t", agent="b", feature="g"):
        assert spend(guard) == (0 if scope == "app" else 1)
    with pytest.raises(ValueError, match="say why"):
        guard.reset(scope, reason=" ")
    assert guard.reset(scope, reason="all clear", by="bob") is True
    assert guard.reset(scope, reason="again") is False
    with guard.session("s", agent="a", feature="f"):
        assert spend(guard) == 1
    assert [e.facts.get("reason") for e in guard.store.events() if e.kind == ev.RESET] == ["all clear", "again"]


@pytest.mark.parametrize("scope", ["", "nobody", "agent:", "agent", "team:x"])
def test_scopes_that_are_none_are_named(make_guard: Any, scope: str) -> None:
    """With what is expected."""
    with pytest.raises(ValueError, match="expected"):
        make_guard().kill(scope, reason="x")


def test_one_loop_neither_repeats_nor_bricks_a_conversation(make_guard: Any) -> None:
    """The run stays stopped; the next run is a probe: the loop's first sign stops it, other work passes and clears it."""
    guard = make_guard(prices=CENT)
    assert loop_once(guard, "s") == 2
    assert guard.store.latches()[("session", "s")].state is LatchState.HALF_OPEN
    assert loop_once(guard, "s") == 0
    assert loop_once(guard, "s", argument="other", tries=1) == 1
    assert ("session", "s") not in guard.store.latches()
    assert ev.PROBE_PASSED in kinds(guard)
    assert loop_once(guard, "s") == 2


def test_an_error_streak_trips_and_its_probe_trips_at_the_first_equal_error(make_guard: Any) -> None:
    """Whatever the arguments."""
    guard = make_guard(prices=CENT)

    def failing(session: str) -> int:
        ran = 0
        with guard.session(session):
            for number in range(9):
                try:
                    held = guard.reserve(ToolCall(name="f", arguments={"q": number}))
                except StoppedError:
                    return ran
                held.settle(Failed(f"timeout after {number} s"))
                ran += 1
        return ran

    assert failing("s") == 5
    assert failing("s") == 1
    assert failing("other") == 5


def Failed(text: str) -> Any:
    """The outcome of a tool that failed."""
    from runguard_core import Outcome, OutcomeKind

    return Outcome(kind=OutcomeKind.FAILED, error=text)


@pytest.mark.parametrize("how", ["guard", "detector"])
def test_observed_detectors_only_say_what_they_would_stop(make_guard: Any, how: str) -> None:
    """Watched before enforced."""
    guard = make_guard(**({"mode": "observe"} if how == "guard" else {"detector_modes": {"repeat": "observe"}}))
    assert loop_once(guard, "s") == 9
    assert kinds(guard).count(ev.WOULD_TRIP) == 1


def test_holds_of_the_living_are_renewed_and_of_the_dead_assumed(make_guard: Any) -> None:
    """A heartbeat extends; without it the deadline passes, and a late post still corrects."""
    clock = FakeClock()
    guard = make_guard(prices=CENT, clock=clock, hold_seconds=60)
    held = guard.model_call("cent", max_output_tokens=3)
    for _ in range(4):
        clock.advance(seconds=50)
        guard._engine.renew()
    assert guard.store.call(held.call_id).state is CallState.PENDING
    clock.advance(seconds=61)
    guard._engine.expire(clock.now())
    assert guard.store.call(held.call_id).state is CallState.ASSUMED
    held.post(ONE)
    assert guard.store.call(held.call_id).cost_nanos == 10**7
    assert kinds(guard) == [ev.CALL_ASSUMED, ev.LATE_POST]


def test_a_forgotten_call_is_not_renewed_for_ever(make_guard: Any) -> None:
    """Six lifetimes, then it is charged."""
    clock = FakeClock()
    guard = make_guard(prices=CENT, clock=clock, hold_seconds=60)
    held = guard.model_call("cent", max_output_tokens=3)
    for _ in range(12):
        clock.advance(seconds=50)
        guard._engine.renew()
    assert guard.store.call(held.call_id).state is CallState.ASSUMED


def test_an_abandoned_call_is_corrected_when_the_truth_arrives(make_guard: Any) -> None:
    """A background task outlives its session's block."""
    guard = make_guard(prices=CENT)
    with guard.session("s"):
        held = guard.model_call("cent", max_output_tokens=3)
    assert guard.store.call(held.call_id).cost_nanos == 3 * 10**7
    held.post(Usage(output_tokens=1))
    assert guard.store.call(held.call_id).cost_nanos == 10**7
    assert held._it is not None
    assert held._it.state.spent_nanos == 10**7
    assert [c.state for c in guard.store.calls(CallFilter())] == [CallState.POSTED]
    assert guard.store.verify() == ()


def test_a_jump_of_the_wall_clock_neither_poisons_nor_reopens_a_window() -> None:
    """Ahead by a year: not believed for ten minutes; then accepted. Back: stamps only."""
    clock = FakeClock(datetime(2026, 11, 24, 23, 50, tzinfo=UTC))
    steady = SteadyClock(clock)
    clock.wall += timedelta(days=365)
    assert steady.now() == datetime(2026, 11, 24, 23, 50, tzinfo=UTC)
    clock.wall -= timedelta(days=365)
    clock.advance(minutes=1)
    assert steady.now() == clock.wall
    assert steady.jump_count == 1
    clock.wall += timedelta(hours=8)
    steady.now()
    clock.advance(minutes=11)
    assert steady.now() == clock.wall


def test_latches_that_stop_nothing_any_more_are_dropped(make_guard: Any) -> None:
    """Runs of last week; a kill stays."""
    clock = FakeClock()
    guard = make_guard(budgets=[Budget("0.01 USD")], prices=CENT, clock=clock)
    guard.kill("agent:x", reason="stays")
    loop_once(guard, "s")
    with pytest.raises(StoppedError):
        guard.model_call("cent", max_output_tokens=5)
    assert len(guard.store.latches()) == 4
    for _ in range(6):
        clock.advance(days=1.5)
        guard._engine.clock.now()
        clock.advance(minutes=11)
        guard._engine.clock.now()
    guard._engine.renew()
    assert {latch.scope for latch in guard.store.latches().values()} == {("agent", "x"), ("session", "s")}


def test_calls_outside_any_run_leave_no_state_behind(make_guard: Any) -> None:
    """A run of its own each, forgotten when settled."""
    guard = make_guard(prices=CENT)
    assert spend(guard, 20) == 20
    assert len(guard._engine.runs._states) == 0


@pytest.mark.parametrize(("settings", "passes"), [({}, False), ({"mode": "observe"}, True), ({"on_store_error": "admit"}, True)])
def test_a_fault_of_our_own_is_no_traceback_in_the_users_program(
    make_guard: Any, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], passes: bool
) -> None:
    """Observing never raises; enforcing raises its one family, unless the policy admits."""
    guard = make_guard(prices=CENT, **settings)
    monkeypatch.setattr(guard._engine.book, "plan", None)
    if passes:
        assert spend(guard) == 1
    else:
        with pytest.raises(TrippedError, match="RunGuard failed: TypeError"):
            guard.model_call("cent", max_output_tokens=1)
