"""One attempt of one model is one entry, however many adapters see it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context, copy_context

from runguard_core import CallFilter, Guard, ModelCall, Outcome, OutcomeKind, ToolCall, Usage

MakeGuard = Callable[..., Guard]
MINI = ModelCall(model="gpt-4o-mini")
ROUTED = ModelCall(model="openai/gpt-4o-mini-2024-07-18")
USAGE = Usage(input_tokens=10, output_tokens=5)


def count(guard: Guard) -> int:
    """Entries in the ledger."""
    return len(guard.store.calls(CallFilter()))


def test_an_inner_adapter_is_handed_the_outer_call_once(make_guard: MakeGuard) -> None:
    """The first to know the outcome settles it; the other's word is dropped."""
    guard = make_guard()
    outer = guard.reserve(MINI, by="outer")
    inner = guard.reserve(ModelCall(model="openai/gpt-4o-mini"), by="inner")
    assert inner is outer
    inner.post(USAGE)
    outer.post(Usage(input_tokens=999, output_tokens=999))
    (only,) = guard.store.calls(CallFilter())
    assert only.settlement is not None
    assert only.settlement.usage == USAGE


def test_a_second_attempt_reserves_for_itself(make_guard: MakeGuard) -> None:
    """The first failed: its entry is void, the second's is posted, the outer adds nothing."""
    guard = make_guard()
    outer = guard.reserve(MINI, by="outer")
    guard.reserve(MINI, by="inner").settle(Outcome(kind=OutcomeKind.FAILED, error_status=500))
    second = guard.reserve(MINI, by="inner")
    assert second is not outer
    second.post(USAGE)
    outer.post(USAGE)
    assert sorted(call.state.value for call in guard.store.calls(CallFilter())) == ["posted", "voided"]


def test_what_is_not_that_very_attempt_reserves_for_itself(make_guard: MakeGuard) -> None:
    """Another model, the same adapter, an answer half seen, another guard, another thread."""
    guard, other = make_guard(), make_guard()
    outer = guard.reserve(MINI, by="outer")
    found = [
        guard.reserve(ModelCall(model="gpt-4o"), by="inner"),
        guard.reserve(MINI, by="outer"),
        other.reserve(MINI, by="inner"),
        Context().run(lambda: guard.reserve(MINI, by="inner")),
    ]
    thread = threading.Thread(target=lambda: found.append(guard.reserve(MINI, by="inner")))
    thread.start()
    thread.join()
    outer.is_claimed = True
    found[1].is_claimed = True
    found.append(guard.reserve(MINI, by="inner"))
    assert outer not in found
    for held in (outer, *found):
        held.post(USAGE)
    assert (count(guard), count(other)) == (6, 1)


def test_a_routers_alias_and_a_copied_context_find_the_outer_call(make_guard: MakeGuard) -> None:
    """LangChain knows the group's name, LiteLLM the deployment's as well."""
    guard = make_guard()
    outer = guard.reserve(ModelCall(model="fast"), by="outer")
    assert copy_context().run(lambda: guard.reserve(ROUTED, by="inner", model_names=("fast",))) is outer
    outer.post(USAGE)


def test_calls_inside_a_tool_belong_to_the_tools_agent(make_guard: MakeGuard) -> None:
    """Until the tool has ended."""
    guard = make_guard()
    who = guard.attribution(agent="planner", run="r1", session="s1", tags={"k": "v"})
    tool = guard.reserve(ToolCall(name="search"), who, by="outer")
    inside = guard.attribution(agent="reader")
    assert (inside.agent, inside.run, inside.session, inside.tags) == ("reader", "r1", "s1", (("k", "v"),))
    tool.settle(Outcome())
    assert guard.attribution().run is None


def test_an_embedding_makes_no_turn(make_guard: MakeGuard) -> None:
    """It stays in the turn of the model call before it."""
    guard = make_guard()
    who = guard.attribution(run="r", session="s")
    turns = []
    for call in (MINI, ModelCall(model="text-embedding-3-small", operation="embeddings", max_output_tokens=0), MINI):
        held = guard.reserve(call, who)
        turns.append((held.attribution.turn, held.quote.output_tokens if held.quote else None))
        held.post(USAGE)
    assert [turn for turn, _ in turns] == [1, 1, 2]
    assert turns[1][1] == 0, "an embedding has no answer to set aside for"
