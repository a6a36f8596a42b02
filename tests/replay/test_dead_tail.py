"""What a run spent after it had learned the last new thing, in cases added up by hand."""

from __future__ import annotations

import pytest

from runguard_core import Guard, StoppedError, ToolCall, Usage
from runguard_core.ledger import CallFilter
from runguard_core.replay import Beat, dead_tail_nanos, recordings_of
from runguard_core.reports import dead_tails, explain

from .recorded import llm, played, run, tool


def model(nanos: int | None, lane: str | None = None) -> Beat:
    return Beat("model", lane, nanos)


def used(mark: str | None, nanos: int = 0, lane: str | None = None, *, told: bool = True) -> Beat:
    return Beat("tool", lane, nanos, mark, is_reported=told)


PROMPT = Beat("prompt")


@pytest.mark.parametrize(
    ("beats", "nanos"),
    [
        ([], 0),
        ([model(5), model(7)], 0),  # no tool call: no tail
        ([model(1), used("a"), model(2)], 0),  # the answer
        ([model(1), used("a"), model(2), model(4)], 2),  # only the last one is the answer
        ([model(1), used("a"), model(2), used("a"), model(4)], 2),  # the second result is the first one again
        ([model(1), used("a"), model(2), used("b"), model(4)], 0),  # something new
        ([model(1), used("a"), model(2), used(None), model(4), used(None), model(8)], 6),  # failures teach nothing
        ([model(1), used("a"), model(2), Beat("model", nanos=4, asks_tools=True)], 6),  # asked for a tool that was not run
        ([model(1), used("a"), model(2), used("a", 100)], 102),  # ends with a tool: no answer; paid tools count
        ([model(1), used(None), model(2), used(None), model(4)], 2),  # never a result: from the first call on
        ([model(1), used(None, told=False), model(2), used(None, told=False), model(4)], 0),  # unknown is not dead
        ([model(1), used("a"), model(2), PROMPT, model(4), PROMPT, model(8)], 0),  # an answer to each prompt
        ([model(1), used("a"), model(2), model(3), PROMPT, model(4)], 2),
        ([model(1, "A"), used("a", lane="A"), model(2, "B"), model(4, "A")], 0),  # each agent's own answer
        ([model(1, "A"), used("a", lane="A"), model(2, "B"), model(8, "B"), model(4, "A")], 2),
        ([model(1), used("a"), model(None), model(4)], None),  # cost of the tail unknown
        ([model(None), used("a"), model(2), model(4)], 2),  # cost before it does not matter
    ],
)
def test_the_tail_begins_after_the_last_new_result(beats: list[Beat], nanos: int | None) -> None:
    """Its answers excepted."""
    assert dead_tail_nanos(beats) == nanos


def test_a_recordings_tail() -> None:
    """Results that differ in time stamps only are the same one; each model call costs 210,000 nano-USD."""
    stamps = [f"2026-11-25T10:00:0{second}Z nothing new" for second in range(3)]
    events = [event for stamp in stamps for event in (llm(), tool("f", {"page": stamp}, stamp))]
    assert played(run(*events, llm())).dead_tail_nanos == 2 * 210_000
    assert played(run(*events, llm(None, None, None), llm())).dead_tail_nanos is None


def test_a_run_that_was_stopped_has_no_answer() -> None:
    """Its last model call asked for the tool that was refused; in the ledger and played from it alike."""
    guard = Guard(app="shop", store="memory://")
    with guard.session("s", agent="planner"), pytest.raises(StoppedError):
        for _ in range(3):
            with guard.model_call("gpt-4o-mini", prompt="x") as call:
                call.post(Usage(input_tokens=1000, output_tokens=100), tool_names=("search",))
            guard.reserve(ToolCall(name="search", arguments={})).post(result="nothing")
    calls = guard.store.calls(CallFilter())
    [recording] = recordings_of(calls, guard.store.events())
    guard.close()
    assert list(dead_tails(calls).values()) == [2 * 210_000]
    assert played(recording).dead_tail_nanos == 2 * 210_000


def test_the_ledgers_runs_show_their_tail() -> None:
    """In explain and by run, from the book alone."""
    guard = Guard(app="shop", store="memory://")
    with guard.session("s", agent="planner"):
        for result in ("found", "found", "found"):
            with guard.model_call("gpt-4o-mini", prompt="x" * 400) as call:
                call.post(Usage(input_tokens=1000, output_tokens=100), tool_names=("search",))
            guard.reserve(ToolCall(name="search", arguments={"q": str(call.call_id)})).post(result=result)
        with guard.model_call("gpt-4o-mini", prompt="x") as call:
            call.post(Usage(input_tokens=1000, output_tokens=100))
    calls = guard.store.calls(CallFilter(session="s"))
    assert list(dead_tails(calls).values()) == [2 * 210_000]
    found = explain("s", calls, ())
    assert found.dead_tail_nanos == found.runs[0].dead_tail_nanos == 2 * 210_000
    guard.close()
