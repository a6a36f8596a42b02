"""An adapter's open calls: the first word counts, attempts repeat each other, stops get out, what is let go is charged."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest

from runguard_core import Budget, CallFilter, CallRecord, Guard, ModelCall, OpenCalls, Outcome, StoppedError, StopSignal, Usage
from runguard_core.calls import OutcomeKind
from runguard_core.hooking import _calls

MakeGuard = Callable[..., Guard]
CALL = ModelCall(model="gpt-4o-mini", provider="openai")
DONE = Outcome(usage=Usage(input_tokens=100, output_tokens=20))
FAILED = Outcome(kind=OutcomeKind.FAILED, error_status=500)


class Owner:
    """What a framework keeps as long as a call goes on."""


def opened(guard: Guard) -> OpenCalls:
    """An adapter's."""
    return OpenCalls(guard, by="theirs")


def ledger(guard: Guard) -> list[CallRecord]:
    """All calls, once what was put off is done."""
    guard.flush()
    return list(guard.store.calls(CallFilter()))


def states(guard: Guard) -> list[str]:
    """How they stand."""
    return [call.state.value for call in ledger(guard)]


def test_the_first_word_on_a_call_counts(make_guard: MakeGuard) -> None:
    """Others are passed over, and so is what is said of calls nobody knows."""
    guard = make_guard()
    calls = opened(guard)
    calls.reserve("k", CALL, guard.attribution())
    calls.settle("k", lambda _: DONE)
    calls.settle("k", lambda _: FAILED)
    calls.settle("other", lambda _: FAILED)
    assert (states(guard), calls.find("k")) == (["posted"], None)


def test_an_answer_that_cannot_be_read_is_charged(make_guard: MakeGuard, caplog: pytest.LogCaptureFixture) -> None:
    """By estimate; the program hears nothing of it."""
    guard = make_guard()
    calls = opened(guard)
    calls.reserve("k", CALL, guard.attribution())
    calls.settle("k", lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    assert states(guard) == ["posted"]
    assert "could not read" in caplog.text


def test_a_failed_attempt_is_known_to_the_next_of_its_group_once(make_guard: MakeGuard) -> None:
    """Also when that one has another id; a call that is answered is no attempt to repeat."""
    guard = make_guard()
    calls = opened(guard)
    first = calls.reserve("k1", CALL, guard.attribution(), group="g")
    calls.settle("k1", lambda _: FAILED)
    assert calls.repeated("k2", "g") is first.reservation
    assert calls.repeated("k2", "g") is None
    calls.reserve("k2", CALL, guard.attribution(), group="g")
    calls.settle("k2", lambda _: DONE)
    assert calls.repeated("k3", "g") is None


def test_failed_calls_of_no_group_are_forgotten(make_guard: MakeGuard) -> None:
    """Nothing can repeat them."""
    guard = make_guard()
    calls = opened(guard)
    calls.reserve("k", CALL, guard.attribution())
    calls.settle("k", lambda _: FAILED)
    assert calls.find("k") is None


def test_two_layers_that_report_one_request_are_one_entry(make_guard: MakeGuard) -> None:
    """The inner one settles where it saw usage; else the word is the outer one's."""
    guard = make_guard()
    calls = opened(guard)
    for number, usage in enumerate((None, Usage(input_tokens=7, output_tokens=1))):
        outer = calls.reserve(f"outer{number}", CALL, guard.attribution())
        calls.pass_on(f"inner{number}", outer)
        assert outer.is_passed_on
        calls.settle(f"inner{number}", lambda _, usage=usage: Outcome(usage=usage))  # type: ignore[misc]
        calls.settle(f"outer{number}", lambda _: DONE)
    found = [call.settlement.usage.input_tokens for call in ledger(guard) if call.settlement and call.settlement.usage]
    assert found == [100, 7]


@pytest.mark.parametrize(
    ("is_sent", "chunks", "seen_chars", "state", "output"),
    [
        (False, None, 0, "voided", None),
        (True, None, 400, "posted", 100),
        (False, [{"choices": [{"delta": {"content": "x" * 400}}]}], 0, "posted", 100),
    ],
)
def test_a_call_that_is_let_go_of_is_charged_by_what_came(
    is_sent: bool, chunks: list[object] | None, seen_chars: int, state: str, output: int | None, make_guard: MakeGuard
) -> None:
    """When its owner dies, on the guard's own thread; nothing was billed where no request has left."""
    guard = make_guard()
    calls, owner = opened(guard), Owner()
    held = calls.reserve("k", CALL, guard.attribution())
    held.is_sent, held.chunks, held.seen_chars = is_sent, chunks, seen_chars
    calls.watch(owner, held)
    del owner
    gc.collect()
    (call,) = ledger(guard)
    assert call.state.value == state
    assert calls.find("k") is None
    if output is not None:
        assert call.settlement is not None
        assert call.settlement.usage is not None
        assert call.settlement.usage.output_tokens == pytest.approx(output, rel=0.2)


def test_another_adapters_call_is_its_own_to_settle(make_guard: MakeGuard) -> None:
    """An inner layer that is let go of charges nothing."""
    guard = make_guard()
    outer = guard.reserve(CALL, by="outer")
    calls = opened(guard)
    held = calls.reserve("k", CALL, guard.attribution())
    assert held.reservation is outer
    held.is_sent = True
    calls.give_up(held)
    assert states(guard) == ["pending"]
    outer.post(Usage(input_tokens=1, output_tokens=1))


def test_a_stop_that_is_swallowed_inside_a_scope_leaves_it(make_guard: MakeGuard) -> None:
    """Raised as something else, or as the signal that passes everything; the last attempt's word counts."""
    guard = make_guard(budgets=[Budget("1 calls", period="lifetime")])
    calls = opened(guard)

    def attempt(key: str) -> None:
        calls.reserve(key, CALL, guard.attribution())

    with calls.scope():
        attempt("k")
    calls.settle("k", lambda _: DONE)
    with pytest.raises(StoppedError), calls.scope():
        try:
            attempt("k2")
        except StoppedError as stop:
            raise RuntimeError("wrapped") from stop
    with pytest.raises(StoppedError), calls.scope(), calls.scope():
        try:
            attempt("k3")
        except StoppedError as stop:
            raise StopSignal(stop) from None
    with pytest.raises(RuntimeError, match="theirs"), calls.scope():
        raise RuntimeError("theirs")


def test_calls_of_a_scope_that_is_cancelled_are_given_up(make_guard: MakeGuard) -> None:
    """The framework says nothing of them."""
    guard = make_guard()
    calls = opened(guard)
    with pytest.raises(asyncio.CancelledError), calls.scope():
        calls.reserve("k", CALL, guard.attribution()).is_sent = True
        raise asyncio.CancelledError
    assert states(guard) == ["posted"]


def test_a_framework_that_ends_nothing_does_not_fill_the_memory(make_guard: MakeGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was open is forgotten; its hold runs out."""
    monkeypatch.setattr(_calls, "_MAX_OPEN", 2)
    guard = make_guard()
    calls = opened(guard)
    held = [calls.reserve(number, CALL, guard.attribution()) for number in range(3)]
    assert [calls.find(number) for number in range(3)] == [None, None, held[2]]
    for one in held:
        one.reservation.void()
