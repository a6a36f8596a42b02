"""P13 to P24: what becomes of a call whose end is odd. Unknown is never zero."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from runguard_core.calls import Certainty, OutcomeKind
from runguard_core.ledger import CallState
from runguard_core.testing import Reply
from runguard_langchain import RunGuardCallbackHandler, activate
from tests.integrations.langchain.conftest import anthropic, openai
from tests.integrations.ledger import calls

LONG = "word " * 400


class State(TypedDict, total=False):
    """What the graphs here pass on."""

    x: str


def only(guard: Any) -> Any:
    """The settlement of the ledger's one call."""
    (call,) = calls(guard)
    assert call.settlement is not None, call.state
    return call.settlement


async def cancel_when_sent(provider: Any, work: Any, count: int = 1) -> None:
    """Cancel a task once its request has arrived."""
    task = asyncio.ensure_future(work)
    await asyncio.to_thread(provider.wait_for, count)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_p13_a_cancelled_call_is_charged_when_its_session_ends(serve: Any, make_guard: Any) -> None:
    """LangChain says nothing after a cancelled ainvoke; the session's block is the last one who can know."""
    gate = threading.Event()
    provider, guard = serve([Reply(gate=gate)]), make_guard()
    async with guard.session("s"):
        with activate(guard):
            await cancel_when_sent(provider, openai(provider).ainvoke(LONG))
    gate.set()
    settled = only(guard)
    assert (settled.outcome, settled.certainty) == (OutcomeKind.CANCELLED, Certainty.ESTIMATED)
    assert settled.cost_nanos == calls(guard)[0].quote_nanos > 0


async def test_p13_a_cancelled_call_in_a_chain_is_charged_when_the_chain_ends(serve: Any, make_guard: Any) -> None:
    """An enclosing chain's end settles what hangs below it."""
    gate = threading.Event()
    provider, guard = serve([Reply(gate=gate)]), make_guard()
    chain = RunnableLambda(lambda _: LONG) | openai(provider)
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)]}
    await cancel_when_sent(provider, chain.ainvoke("x", config=config))
    gate.set()
    assert only(guard).cost_nanos > 0


async def test_p14_a_sibling_cancelled_by_another_nodes_failure_is_charged(serve: Any, make_guard: Any) -> None:
    """A node fails; LangGraph cancels the model call beside it without a word."""
    gate = threading.Event()
    provider, guard = serve([Reply(gate=gate)]), make_guard()
    model = openai(provider)

    async def slow(state: State) -> State:
        await model.ainvoke(LONG)
        return {}

    async def failing(state: State) -> State:
        await asyncio.to_thread(provider.wait_for, 1)
        raise ValueError("node failed")

    graph = StateGraph(State)
    graph.add_node("slow", slow)
    graph.add_node("failing", failing)
    for node in ("slow", "failing"):
        graph.add_edge(START, node)
        graph.add_edge(node, END)
    with pytest.raises(ValueError, match="node failed"):
        await graph.compile().ainvoke({"x": ""}, config={"callbacks": [RunGuardCallbackHandler(guard)]})
    gate.set()
    assert only(guard).cost_nanos > 0


def test_p15_a_call_orphaned_by_another_handler_is_settled(serve: Any, make_guard: Any) -> None:
    """Another handler raises after ours has reserved: no error callback follows."""

    class Raising(BaseCallbackHandler):
        raise_error = True

        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("not ours")

    provider, guard = serve(), make_guard()
    chain = RunnableLambda(lambda _: LONG) | openai(provider)
    with pytest.raises(RuntimeError, match="not ours"):
        chain.invoke("x", config={"callbacks": [RunGuardCallbackHandler(guard), Raising()]})
    assert calls(guard)[0].state is not CallState.PENDING
    assert provider.request_count == 0


@pytest.mark.parametrize(("status", "state"), [(400, "voided"), (401, "voided"), (429, "voided"), (500, "voided"),
                                               (503, "voided"), (529, "voided"), (408, "posted"), (502, "posted"), (504, "posted")])  # fmt: skip
@pytest.mark.parametrize("protocol", [openai, anthropic])
def test_p16_only_clearly_unbilled_statuses_cost_nothing(
    serve: Any, make_guard: Any, status: int, state: str, protocol: Any
) -> None:
    """4xx except 408, a clean 500, 503 and 529 are void; the rest is charged at the quote, as an estimate."""
    provider, guard = serve([Reply(status=status)]), make_guard()
    with pytest.raises(Exception, match=str(status)), activate(guard):
        protocol(provider).invoke(LONG)
    (call,) = calls(guard)
    assert call.state == state
    assert (call.cost_nanos == call.quote_nanos) is (state == "posted")
    assert call.settlement is not None
    assert call.settlement.error_status == status


def test_p16_a_refused_connection_costs_nothing(make_guard: Any, serve: Any) -> None:
    """Nothing left the machine."""
    provider, guard = serve(), make_guard()
    model = openai(provider)
    provider.close()
    with pytest.raises(Exception, match="Connection"), activate(guard):
        model.invoke("hi")
    assert calls(guard)[0].state is CallState.VOIDED


def test_p17_retries_inside_the_client_are_one_entry_with_unknown_attempts(serve: Any, make_guard: Any) -> None:
    """Three requests, one start and end: what cannot be seen is said to be unknown, not guessed."""
    provider, guard = (
        serve([Reply(status=500), Reply(status=500), Reply(input_tokens=9, output_tokens=3)]),
        make_guard(),
    )
    with activate(guard):
        openai(provider, max_retries=2).invoke("hi")
    assert provider.request_count == 3
    assert only(guard).attempt_count is None
    assert only(guard).usage.input_tokens == 9


@pytest.mark.parametrize("protocol", [openai, anthropic])
def test_p18_a_stream_cut_by_the_server_is_charged_by_what_was_seen(serve: Any, make_guard: Any, protocol: Any) -> None:
    """Half an answer, no usage: estimated from the prompt and the text that came."""
    provider, guard = serve([Reply(text=LONG, chunks=10, cut_after_chunks=6)]), make_guard()
    with pytest.raises(Exception), activate(guard):  # noqa: B017  each client has its own error
        list(protocol(provider).stream(LONG))
    settled = only(guard)
    assert settled.certainty is Certainty.ESTIMATED
    assert settled.usage.input_tokens > 300
    assert 0 < settled.usage.output_tokens < 500
    assert settled.cost_nanos > 0


@pytest.mark.parametrize("protocol", [openai, anthropic])
def test_p18_an_abandoned_stream_is_charged_by_what_was_seen(serve: Any, make_guard: Any, protocol: Any) -> None:
    """The consumer breaks off."""
    gate = threading.Event()
    provider, guard = serve([Reply(text=LONG, chunks=10, gate=gate, gate_after_chunks=6)]), make_guard()
    with activate(guard):
        stream = protocol(provider).stream(LONG)
        for _ in range(4):
            next(stream)
        stream.close()
    gate.set()
    settled = only(guard)
    assert (settled.outcome, settled.certainty) == (OutcomeKind.CANCELLED, Certainty.ESTIMATED)
    assert settled.usage.output_tokens > 0


def test_p19_a_cut_under_invoke_is_charged_by_the_tokens_that_came(serve: Any, make_guard: Any) -> None:
    """With streaming=True under invoke LangChain keeps no partial answer; the tokens were counted as they came."""
    provider, guard = serve([Reply(text=LONG, chunks=10, cut_after_chunks=6)]), make_guard()
    with pytest.raises(Exception), activate(guard):  # noqa: B017
        openai(provider, streaming=True).invoke(LONG)
    assert 100 < only(guard).usage.output_tokens < 500


def test_p20_nothing_is_raised_between_tokens(serve: Any, make_guard: Any) -> None:
    """Raising there would hang up on an answer that is paid for: we only raise at starts."""
    provider, guard = (
        serve([Reply(text=LONG, chunks=50, output_tokens=500)]),
        make_guard(max_cost_per_session_usd="0.50"),
    )
    with activate(guard):
        assert "".join(c.content for c in openai(provider, stream_usage=True).stream("hi")) == LONG  # type: ignore[misc]
    assert only(guard).usage.output_tokens == 500


@pytest.mark.parametrize("usage", [True, False])
def test_p21_a_stream_without_usage_is_not_free(serve: Any, make_guard: Any, usage: bool) -> None:
    """ChatOpenAI with a base_url asks for no usage by default: estimated; with stream_usage exact."""
    provider, guard = serve([Reply(text=LONG, output_tokens=400, input_tokens=500)]), make_guard()
    with activate(guard):
        list(openai(provider, stream_usage=usage).stream(LONG))
    settled = only(guard)
    assert settled.certainty is (Certainty.EXACT if usage else Certainty.ESTIMATED)
    assert settled.cost_nanos > 0
    assert abs(settled.usage.output_tokens - 400) <= (0 if usage else 150)


async def test_p22_streaming_forced_by_a_graph_is_not_free(serve: Any, make_guard: Any) -> None:
    """stream_mode="messages" flips invoke to streaming."""
    provider, guard = serve([Reply(text=LONG)]), make_guard()
    model = openai(provider)

    async def node(state: State) -> State:
        await model.ainvoke(LONG)
        return {}

    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)]}
    async for _ in graph.compile().astream({"x": ""}, config=config, stream_mode="messages"):
        pass
    assert provider.requests[0].is_stream
    assert only(guard).cost_nanos > 0


@pytest.mark.parametrize(("at_start", "certainty"), [(True, Certainty.EXACT), (False, Certainty.ESTIMATED)])
def test_p23_a_stream_whose_end_forgets_the_prompt_is_completed(
    serve: Any, make_guard: Any, at_start: bool, certainty: Certainty
) -> None:
    """By the first event, which LangChain drops; by estimate where that one says nothing either."""
    reply = Reply(text=LONG, input_tokens=900, output_tokens=321, cached_tokens=500, usage_at_start=at_start, usage_at_end=False)
    provider, guard = serve([reply]), make_guard()
    with activate(guard):
        whole = None
        for chunk in anthropic(provider).stream(LONG):
            whole = chunk if whole is None else whole + chunk  # type: ignore[operator]
    settled = only(guard)
    assert (settled.certainty, settled.usage.output_tokens) == (certainty, 321)
    if at_start:
        assert (settled.usage.input_tokens, settled.usage.cache_read_input_tokens) == (900, 500)
    assert settled.usage.input_tokens > 300
    assert whole is not None
    assert "runguard_first_usage" not in whole.response_metadata


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_p24_cache_writes_are_counted_once(serve: Any, make_guard: Any, how: str) -> None:
    """By total in one version, by time to live in another, both in a third."""
    reply = Reply(input_tokens=1000, output_tokens=10, cached_tokens=100, cache_write_tokens=300, cache_write_1h_tokens=200)
    provider, guard = serve([reply]), make_guard()
    with activate(guard):
        list(anthropic(provider).stream("hi")) if how == "stream" else anthropic(provider).invoke("hi")
    usage = only(guard).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (1000, 100, 500)
