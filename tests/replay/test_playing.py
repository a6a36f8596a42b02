"""Recordings through a real guard: where it stops, why, and what that saves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runguard_core import History, Severity, Step, Usage, Verdict
from runguard_core.guard import rules_of
from runguard_core.replay import play, played_json
from runguard_core.replay._calling import Caller

from .recorded import llm, played, run, tool

# gpt-4o-mini: 0.15 USD in, 0.60 USD out per million tokens -> 1,000 in and 100 out cost 210,000 nano-USD
CALL_NANOS = 1000 * 150 + 100 * 600


def test_a_loop_is_stopped_at_the_call_that_would_have_been_refused() -> None:
    """The third equal call with equal results; what follows is what would have been saved."""
    events = [event for _ in range(5) for event in (llm(), tool("search", {"q": "x"}, "nothing"))]
    found = played(run(*events))
    assert found.stop is not None
    assert (found.stop.index, found.stop.rule, found.stop.place) == (5, "repeat", 5)
    assert "search would be called for the 3rd time in a row" in found.stop.evidence
    assert [(warn.index, warn.rule) for warn in found.warns] == [(3, "repeat")]
    assert found.whole.nanos == 5 * CALL_NANOS
    assert found.saved.nanos == 2 * CALL_NANOS  # events 6 and 8
    assert (found.saved.call_count, found.saved.tokens) == (5, 2 * 1100)


def test_the_json_line_has_the_promised_keys_first_and_dollars_as_text() -> None:
    """Their order is part of the promise."""
    found = played_json(played(run(llm(), tool("f", {}, "x"))))
    assert list(found)[:6] == ["run_id", "events", "stop", "warns", "usd_total", "usd_saved"]
    assert (found["stop"], found["usd_total"], found["usd_saved"], found["events"]) == (None, "0.00021", "0", 2)


def test_the_index_is_the_events_own_number() -> None:
    """`i` need not begin at 0 nor be dense; without it the place counts."""
    events = [tool("f", {}, "x") | {"i": 10 * place + 7} for place in range(4)]
    found = played(run(*events))
    assert found.stop is not None
    assert (found.stop.index, found.stop.place) == (27, 2)
    events = [{key: value for key, value in event.items() if key != "i"} | {"i": "odd"} for event in events]
    found = played(run(*events))
    assert found.stop is not None
    assert found.stop.index == 2


def test_clipped_texts_are_compared_by_their_digests() -> None:
    """Equal beginnings of different values are no repetition; equal digests are."""
    beginning = "a" * 800
    differing = [tool("f", beginning, "r", args_sha1=f"{place:012x}", args_len=5000) for place in range(4)]
    assert played(run(*differing)).stop is None
    equal = [tool("f", beginning, "r", args_sha1="0123456789ab", args_len=5000) for place in range(4)]
    assert played(run(*equal)).stop is not None
    results = [tool("f", {}, "r" * 240, result_sha1=f"{place:012x}", result_len=900) for place in range(4)]
    assert played(run(*results)).stop is None
    inside = [tool("f", {"text": "a" * 700 + "…"}, "r", args_sha1=f"{place:012x}", args_clipped=True) for place in range(4)]
    assert played(run(*inside)).stop is None


def test_digests_alone_are_enough() -> None:
    """A recording without any text: equal digests are equal values, and none looks like an id that is left out."""
    looping = [{"kind": "tool", "name": "f", "args_sha1": "0123456789ab", "result_sha1": "00112233445566", "result_len": 9}] * 4
    assert played(run(*looping)).stop is not None
    changing = [{**looping[0], "result_sha1": f"{place:014x}"} for place in range(8)]
    assert played(run(*changing)).stop is None


def test_results_that_nobody_recorded_are_neither_equal_nor_different() -> None:
    """Where no result is reported at all, the calls alone are judged, and the sentence says so."""
    found = played(run(*[tool("f", {"a": 1}) for _ in range(8)]))
    assert found.stop is not None
    assert found.stop.index == 2
    assert "no result reported" in found.stop.evidence


def test_a_call_of_which_nothing_was_recorded_equals_no_other() -> None:
    """Neither arguments nor result: no evidence of a loop."""
    assert played(run(*[{"kind": "tool", "name": "f"} for _ in range(20)])).stop is None
    assert played(run(*[{"kind": "tool", "name": "f", "args": None, "result": None} for _ in range(20)])).stop is None
    assert played(run(*[{"kind": "tool", "name": "ping", "result": "pong"} for _ in range(4)])).stop is not None


def test_parallel_agents_and_segments_do_not_mix() -> None:
    """Each agent, each instance of one, and each segment has a history of its own."""
    equal = tool("read", {"file": "a"}, "text")
    for key in ("agent", "instance", "segment"):
        assert played(run(*[equal | {key: f"{key}{place % 3}"} for place in range(6)])).stop is None
        assert played(run(*[equal | {key: "one"} for _ in range(6)])).stop is not None


def test_a_stop_in_one_segment_leaves_the_others_running() -> None:
    """Saved is what that segment would not have sent."""
    loop = [tool("f", {}, "x", segment="a") for _ in range(4)]
    found = played(run(*loop, llm(segment="b"), llm(segment="a")))
    assert found.stop is not None
    assert found.stop.index == 2
    assert found.saved.nanos == CALL_NANOS
    assert found.whole.nanos == 2 * CALL_NANOS


def test_budgets_refuse_by_what_is_known(tmp_path: Path) -> None:
    """Dollars where tokens and a model are there; calls without tokens cost a dollar budget nothing."""
    policy = '[[budgets]]\nname = "run"\nlimit = "0.001 USD"\nper = ["run"]'
    found = played(run(*[llm() for _ in range(20)]), policy, tmp_path)
    assert found.stop is not None
    assert found.stop.rule == "budget run"
    assert "0.001" in found.stop.evidence
    spent = found.whole.nanos - found.saved.nanos
    assert 0.5e6 < spent <= 1e6
    silent = played(run(*[llm(tokens_in=None, tokens_out=None) for _ in range(20)]), policy, tmp_path)
    assert silent.stop is None
    assert (silent.whole.untold_count, silent.whole.tokens, silent.whole.nanos) == (20, 0, 0)
    tokens = '[[budgets]]\nname = "run"\nlimit = "50 tokens"\nper = ["run"]'
    assert played(run(*[llm(tokens_in=None, tokens_out=None) for _ in range(20)]), tokens, tmp_path).stop is None
    nameless = played(run(*[llm(model=None) for _ in range(20)]), policy, tmp_path)
    assert nameless.stop is None
    assert (nameless.whole.untold_count, nameless.whole.tokens) == (20, 20 * 1100)


def test_a_recorded_cost_holds_where_there_is_no_price(tmp_path: Path) -> None:
    """For models that no list knows and for calls without a model or tokens; else tokens are priced."""
    policy = '[[budgets]]\nname = "run"\nlimit = "0.05 USD"\nper = ["run"]'
    unknown = [llm(model="house-model-7", cost_usd=0.02) for _ in range(5)]
    found = played(run(*unknown), policy, tmp_path)
    assert (found.whole.nanos, found.whole.untold_count) == (100_000_000, 0)
    assert found.stop is not None
    assert found.stop.rule == "budget run"
    assert played(run(llm(cost_usd=0.5))).whole.nanos == CALL_NANOS
    assert played(run(llm(tokens_in=None, tokens_out=None, cost_usd="0.5"))).whole.nanos == 500_000_000


def test_a_model_without_a_price_is_refused_as_the_guard_would(tmp_path: Path) -> None:
    """Under a dollar budget; the default policy has none and says so only."""
    policy = '[[budgets]]\nname = "run"\nlimit = "1 USD"\nper = ["run"]'
    found = played(run(llm(model="house-model-7")), policy, tmp_path)
    assert found.stop is not None
    assert found.stop.rule == "unpriced"
    assert [warn.rule for warn in played(run(llm(model="house-model-7"))).warns] == ["unpriced"]


def test_a_kill_switch_of_today_stops_nothing_of_the_past(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A replay asks no file and no ledger of this machine."""
    (tmp_path / "stop").touch()
    monkeypatch.setenv("RUNGUARD_KILL_FILE", str(tmp_path / "stop"))
    monkeypatch.setenv("RUNGUARD_STORE", "sqlite:////nowhere/ledger.db")
    assert played(run(llm(), tool("f", {}, "x"))).stop is None


def test_calls_lie_beside_each_other_as_recorded(tmp_path: Path) -> None:
    """What is set aside for calls in flight counts, as it did; hours later they are settled for what they cost."""
    day = "2026-01-01T{:02}:00:00Z"
    long = [llm(ts=day.format(hour), end_ts=day.format(23)) for hour in range(10, 14)]
    policy = '[[budgets]]\nname = "run"\nlimit = "6k tokens"\nper = ["run"]'
    beside, after = played(run(*long), policy, tmp_path), played(run(*[llm() for _ in range(4)]), policy, tmp_path)
    assert beside.stop is not None
    assert "pending 4" in beside.stop.evidence
    assert after.stop is None


def test_calls_are_filled_in_as_an_adapter_would(make_guard: Any) -> None:
    """Retries within a step, tool loops, tools asked for, the user's messages in the prompt."""
    refused = {"kind": "llm", "error": 429, "step": 1}
    events = [{"kind": "user", "text": "hello"}, refused, refused | {"step": 2}, llm(step=2), tool("f", {}, "x"), llm(), llm()]
    recording = run(*events, tool("f", {}, "x"), {"kind": "user", "text": "and?"}, llm())
    guard = make_guard()
    caller, calls = Caller(recording, "s", "r", guard), []
    usage = Usage(input_tokens=1000, output_tokens=100)
    for place, event in enumerate(recording.events):
        if event.kind == "user":
            caller.prompt(event)
        elif event.kind == "llm":
            calls.append(caller.call(event, place, usage))
            caller.passed(event, f"c{place}")
        else:
            caller.call(event, place, None)
    assert [call.retry_of for call in calls] == [None, None, "c2", None, None, None]
    assert [call.after_tool for call in calls] == [False, False, False, True, False, False]
    assert [call.parts[0].chars for call in calls] == [5, 5, 5, 5, 5, 9]
    assert sum(part.chars for part in calls[0].parts) == 4 * (1000 - 3 - 4 * 2)
    assert caller.outcome(recording.events[3], 3, usage, None).tool_names == ("f",)


@dataclass(frozen=True)
class SecondCall:
    """Speaks after the second call of a run."""

    rule: str = "second"

    def before(self, history: History, step: Step) -> Verdict | None:
        return None

    def after(self, history: History, step: Step) -> Verdict | None:
        return Verdict(rule=self.rule, severity=Severity.STOP, evidence="two") if history.step_count == 2 else None


@pytest.mark.parametrize(("more", "index", "saved_nanos"), [([], 1, 0), ([llm(), llm()], 2, 2 * CALL_NANOS)])
def test_a_detector_that_speaks_after_a_call_refuses_the_next_one(more: list[Any], index: int, saved_nanos: int) -> None:
    """Where there is none the run is stopped all the same, with nothing saved."""
    rules = rules_of("test", (), mode="enforce", session_usd=None, daily_usd=None, detectors=(SecondCall(),))
    [found] = play([run(tool("f", {}, "x"), tool("f", {}, "y"), *more)], rules)
    assert found.stop is not None
    assert (found.stop.index, found.stop.rule, found.saved.nanos, found.warns) == (index, "second", saved_nanos, ())


def test_observed_rules_are_warnings_marked_as_observed(tmp_path: Path) -> None:
    """A policy that only watches stops nothing; what it would have stopped is there."""
    found = played(run(*[tool("f", {}, "x") for _ in range(4)]), 'mode = "observe"', tmp_path)
    assert found.stop is None
    assert [(warn.index, warn.is_observed) for warn in found.warns] == [(1, False), (2, True)]
    assert played_json(found)["observed"][0]["rule"] == "repeat"


def test_a_prompt_opens_a_new_tool_loop_and_failed_calls_open_no_turn(tmp_path: Path) -> None:
    """A retry belongs to the turn of the call it repeats."""
    turns = '[[budgets]]\nname = "turns"\nlimit = "2 turns"\nper = ["run"]'
    failing = [llm(tokens_in=None, tokens_out=None, error=429) for _ in range(9)]
    assert played(run(*failing, llm(), llm()), turns, tmp_path).stop is None
    found = played(run(*failing, *[llm() for _ in range(4)]), turns, tmp_path)
    assert found.stop is not None
    assert found.stop.rule == "budget turns"
    assert found.whole.untold_count == 0
    loops = '[[budgets]]\nname = "loop"\nlimit = "1 turns"\nper = ["loop"]'
    prompts = [llm(), {"kind": "user", "text": "and now?"}, llm(), tool("f", {}, "x"), llm()]
    found = played(run(*prompts), loops, tmp_path)
    assert found.stop is not None
    assert found.stop.index == 4


SAID = "I could not parse that, so I say it again."


def said(tokens: int, text: str = SAID) -> dict[str, Any]:
    """An answer without a tool call to a prompt of so many tokens, its text clipped as recorders do."""
    return llm(tokens_in=tokens, text=text[:10], text_len=len(text), text_sha1=f"{len(text):012x}")


def test_the_same_answer_for_ever_is_seen_by_its_digest() -> None:
    """A prompt whose tokens only grow is taken to hold the answers before; what is recorded as a user's is in it, too."""
    driver = {"kind": "user", "text": "Continue."}
    found = played(run(tool("f", {}, "x"), *[event for n in range(9) for event in (said(1000 + 20 * n), driver)]))
    assert found.stop is not None
    assert (found.stop.index, found.stop.rule) == (11, "same_answer")
    assert [(warn.index, warn.rule) for warn in found.warns] == [(9, "same_answer")]


@pytest.mark.parametrize(
    "events",
    [
        [said(1000 - n % 3) for n in range(20)],
        [said(1000 + 20 * n, f"{SAID} {'!' * n}") for n in range(11)],
        [event for n in range(9) for event in (said(1000 + 20 * n), tool("f", {"n": n}, f"found {n}"))],
        [said(1000 + 20 * n) | {"agent": f"agent {n}"} for n in range(9)],
        [{"kind": "llm", "text": SAID, "text_len": len(SAID)} for _ in range(9)],
    ],
    ids=["prompts of their own", "other words", "tools in between", "other agents", "no tokens"],
)
def test_answers_that_are_no_loop_or_not_known_to_be_one(events: list[Any]) -> None:
    """A batch, progress, work; and where no tokens were recorded, nothing says what the prompts held."""
    found = played(run(tool("f", {}, "x"), *events))
    assert found.stop is None
    assert found.warns == ()
