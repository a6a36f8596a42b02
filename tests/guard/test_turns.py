"""What a guard does with a verdict about a model call: nothing is sent, the run is latched, modes are respected."""

from __future__ import annotations

from typing import Any

import pytest

from runguard_core import (
    CallFilter,
    ModelCall,
    Outcome,
    OutcomeKind,
    PromptPart,
    ToolCall,
    TrippedError,
    Turn,
    TurnDetector,
    TurnHistory,
    Usage,
    Verdict,
)
from runguard_core import events as ev
from runguard_core.detectors import Overflow, RateLimit, Severity, default_turn_detectors
from runguard_core.errors import StoreUnavailableError

from .clock import FakeClock
from .spending import kinds

NO = Outcome(kind=OutcomeKind.FAILED, error="RateLimitError: slow down", error_status=429)


def prompt(tokens: int, **more: Any) -> ModelCall:
    """A prompt of so many tokens, a quarter of its characters."""
    return ModelCall(model="gpt-4", provider="openai", parts=(PromptPart("user", 4 * tokens),), max_output_tokens=100, **more)


def events(guard: Any, kind: str) -> list[Any]:
    """The events of a kind."""
    return [event for event in guard.store.events() if event.kind == kind]


def test_a_prompt_that_will_not_fit_is_refused_before_it_is_sent_and_the_run_is_latched(make_guard: Any) -> None:
    """gpt-4 reads 8,192 tokens; the small call after it is refused too, and makes no turn."""
    guard = make_guard()
    with guard.session("s") as session:
        session.reserve(prompt(7000)).post(Usage(input_tokens=7000, output_tokens=10))
        with pytest.raises(TrippedError, match=r"do not fit the 8,192 of gpt-4") as caught:
            session.reserve(prompt(9000))
        with pytest.raises(TrippedError, match="overflow"):
            session.reserve(prompt(10))
        assert len(session.calls()) == 1
    assert caught.value.rule == "overflow"
    assert caught.value.summary is not None
    assert caught.value.summary.turn_count == 1
    tripped = events(guard, ev.RUN_TRIPPED)
    assert [event.facts["window_tokens"] for event in tripped] == [8192]
    assert tripped[0].facts["prompt_tokens"] == 8999


def test_a_warning_is_said_once_with_its_figures(make_guard: Any) -> None:
    """And names the call it was seen at."""
    guard = make_guard()
    with guard.session("s") as session:
        for _ in range(3):
            held = session.reserve(prompt(7500))
            held.post(Usage(input_tokens=7500, output_tokens=10))
    said = events(guard, ev.LOOP_WARNING)
    assert [event.facts["rule"] for event in said] == ["overflow"]
    assert said[0].facts["window_tokens"] == 8192
    assert said[0].call_id == session.calls()[0].id


def test_in_observe_mode_it_is_only_said(make_guard: Any) -> None:
    """The guard's, the rule's or the agent's."""
    for settings in ({"mode": "observe"}, {"detector_modes": {"overflow": "observe"}}, {"agent_modes": {"a": "observe"}}):
        guard = make_guard(**settings)
        with guard.session("s", agent="a") as session:
            for _ in range(3):
                session.reserve(prompt(20_000)).post(Usage(input_tokens=20_000, output_tokens=10))
        assert kinds(guard).count(ev.WOULD_TRIP) == 1
        assert ev.RUN_TRIPPED not in kinds(guard)


def test_what_is_off_says_and_keeps_nothing(make_guard: Any) -> None:
    """One rule, or all of them: then no turn is even looked at."""
    guard = make_guard(detector_modes={"overflow": "off"})
    with guard.session("s") as session:
        session.reserve(prompt(20_000)).post(Usage(input_tokens=20_000, output_tokens=10))
    assert ev.LOOP_WARNING not in kinds(guard)
    off = make_guard(turn_detectors=())
    with off.session("s") as session:
        held = session.reserve(prompt(20_000))
        assert held._it is not None
        assert held._it.lane.turns is None
        assert held._it.turn_seen is None
        held.post(Usage(input_tokens=20_000, output_tokens=10))


def test_a_bound_quote_is_no_projection(make_guard: Any) -> None:
    """A bound counts every byte as a token; 12,000 characters still are about 3,000 tokens."""
    guard = make_guard(quote="bound")
    with guard.session("s") as session:
        session.reserve(prompt(3000, input_bytes=12_000)).post(Usage(input_tokens=3000, output_tokens=10))
    assert events(guard, ev.LOOP_WARNING) == []


def test_refusals_are_counted_by_the_guards_clock(make_guard: Any) -> None:
    """Ten in a row with back-off: the eleventh is not made. A day later they are forgotten."""
    clock = FakeClock()
    guard = make_guard(clock=clock, hold_seconds=10**6)
    with guard.session("s") as session:
        for index in range(10):
            clock.advance(minutes=index)
            session.reserve(prompt(100)).settle(NO)
        with pytest.raises(TrippedError, match=r"gpt-4 refused 10 attempts in a row with 429 within 2,700 s"):
            session.reserve(prompt(100))
    with guard.session("other") as session:
        for _ in range(10):
            session.reserve(prompt(100)).settle(NO)
        clock.advance(hours=25)
        session.reserve(prompt(100)).post(Usage(input_tokens=100, output_tokens=1))


def test_a_call_that_a_budget_refused_is_no_turn(make_guard: Any) -> None:
    """It was not sent, so it is not in the history."""
    from runguard_core import Budget, RefusedError

    guard = make_guard(budgets=[Budget("1 calls", per=["run"])], turn_detectors=(Overflow(), RateLimit(warn_after=1)))
    with guard.session("s") as session:
        held = session.reserve(prompt(100))
        watch = held._it.lane.turns
        held.post(Usage(input_tokens=100, output_tokens=1))
        with pytest.raises(RefusedError):
            session.reserve(prompt(3000))
        assert watch.history._sides.turn_count == 1


class Saying(TurnDetector):
    """A detector of one's own, for one half only."""

    rule = "mine"

    def after(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Always."""
        return Verdict(rule=self.rule, severity=Severity.STOP, evidence=f"{turn.model} was asked")


def test_a_stop_after_a_call_refuses_the_next_one(make_guard: Any) -> None:
    """The call itself is over and posted; nothing is raised where it ends. An abandoned call is judged once."""
    guard = make_guard(turn_detectors=(Saying(),))
    with guard.session("s") as session:
        held = session.reserve(prompt(100))
        held.abandon()
        held.post(Usage(input_tokens=100, output_tokens=1))
        with pytest.raises(TrippedError, match="gpt-4 was asked"):
            session.reserve(prompt(100))
    assert kinds(guard).count(ev.RUN_TRIPPED) == 1


def hand_over(session: Any, agent: str, to: str, found: str) -> None:
    """An agent looks something up and hands over."""
    turn = session.reserve(prompt(100), agent=agent)
    turn.post(Usage(input_tokens=100, output_tokens=5), tool_names=("search", f"transfer_to_{to}"))
    session.reserve(ToolCall(name="search", arguments={"q": found}), agent=agent).post(result=f"found {found}")
    session.reserve(ToolCall(name=f"transfer_to_{to}"), agent=agent).post(result="transferred")


def test_agents_that_find_something_before_they_hand_over_pass(make_guard: Any) -> None:
    """What tools answered in the run decides, whoever called them; the same answers again decide otherwise."""
    guard = make_guard(detectors=())
    with guard.session("s") as session:
        for index in range(10):
            hand_over(session, "triage", "billing", f"page {index}")
            hand_over(session, "billing", "triage", f"bill {index}")
    assert kinds(guard) == []
    with guard.session("other") as session, pytest.raises(TrippedError, match="they only handed over"):
        for _ in range(10):
            hand_over(session, "triage", "billing", "page")
            hand_over(session, "billing", "triage", "bill")


def test_a_call_that_passed_without_the_ledger_is_in_no_history(make_guard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was let pass unseen; its end must not be counted either."""
    guard = make_guard(on_store_error="admit")

    def fail(*_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("memory://", "gone")

    with guard.session("s") as session:
        with monkeypatch.context() as patch:
            patch.setattr(guard.store, "reserve", fail)
            held = session.reserve(prompt(100))
        held.post(Usage(input_tokens=100, output_tokens=5))
        assert held._it.state.turns._pending_count == 0


def test_what_a_frameworks_cache_answers_is_no_count_of_the_provider(make_guard: Any) -> None:
    """The usage in it is of an older call."""
    guard = make_guard()
    with guard.session("s") as session:
        held = session.reserve(prompt(100))
        held.settle(Outcome(from_cache=True, usage=Usage(input_tokens=7000, output_tokens=1)))
        assert held._it.turn_seen.counted_tokens is None


def hashes(guard: Any) -> list[str | None]:
    """The digests of answers in the ledger."""
    return [call.settlement.result_hash for call in guard.store.calls(CallFilter()) if call.settlement]


@pytest.mark.parametrize(
    ("off", "is_read"), [((), True), (("same_answer",), True), (("same_answer", "delegation"), False), (None, False)]
)
def test_an_answers_text_is_read_for_its_digest_where_a_detector_compares_answers(
    make_guard: Any, off: Any, is_read: bool
) -> None:
    """And kept nowhere, also where none does or the call has ended already."""
    detectors = () if off is None else [one for one in default_turn_detectors() if one.rule not in off]
    guard, text = make_guard(turn_detectors=detectors), "the secret answer of the agent"
    with guard.session("s") as session:
        held = session.reserve(prompt(10))
        held.settle(Outcome(usage=Usage(input_tokens=10, output_tokens=5), output_text=text))
    assert hashes(guard) == [guard.fingerprint(text) if is_read else None]
    assert held._closing.outcome.output_text is None  # type: ignore[union-attr]
    assert text not in repr(Outcome(output_text=text))


def test_a_digest_that_is_given_beside_the_text_stands(make_guard: Any) -> None:
    """An adapter that knows better."""
    guard = make_guard()
    with guard.session("s") as session:
        session.reserve(prompt(10)).post(Usage(input_tokens=10, output_tokens=5), output_text="x", output_text_hash="given")
    assert hashes(guard) == ["given"]
