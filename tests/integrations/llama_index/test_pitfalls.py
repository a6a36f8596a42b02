"""LlamaIndex's traps, one test each: what it does by itself is in the name, what we do is in the test."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llama_index.core
import pytest
from llama_index.core import Document, Settings, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.tools import FunctionTool
from openai import APIError

from runguard_core import Budget, StoppedError
from runguard_core.testing import Reply
from runguard_llama_index import instrument, uninstrument
from tests.integrations.llama_index.conftest import (
    HI,
    LOOKUP,
    USED,
    Guarded,
    Serve,
    calls,
    embeddings,
    looking_up,
    openai,
    states,
    tokens,
)  # fmt: skip

ONE = Budget("1 calls", period="lifetime")
FIVE = Budget("5 calls", period="lifetime")


def certainty(guard: Any) -> list[str]:
    """Of every posted call."""
    return [c.settlement.certainty.value for c in calls(guard) if c.settlement is not None and c.state.value == "posted"]


def test_i01_streams_ask_for_no_usage(guarded: Guarded, serve: Serve) -> None:
    """We ask, for this one request: the model's own settings are as they were."""
    provider, guard = serve(), guarded()
    llm = openai(provider)
    list(llm.stream_chat(HI))
    assert provider.requests[0].body["stream_options"] == {"include_usage": True}
    assert tokens(guard) == (100, 20)
    assert llm.additional_kwargs == {}


def test_i01_asking_for_usage_can_be_switched_off(make_guard: Any, serve: Serve) -> None:
    """Then it is an estimate, not free."""
    provider, guard = serve([Reply(text="word " * 40)]), make_guard()
    instrument(guard, stream_usage=False)
    list(openai(provider).stream_chat(HI))
    assert "stream_options" not in provider.requests[0].body
    assert certainty(guard) == ["estimated"]
    assert tokens(guard)[1] == pytest.approx(50, abs=5)


def test_i02_a_query_engine_replaces_the_callbacks_of_its_model(guarded: Guarded, serve: Serve) -> None:
    """The gate is back with every call: inside the engine and in later direct calls."""
    provider, guard = serve(), guarded()
    llm = openai(provider)
    llm.chat(HI)
    SummaryIndex.from_documents([Document(text="a")]).as_query_engine(llm=llm).query("q")
    llm.chat(HI)
    llm.callback_manager = CallbackManager()
    llm.chat(HI)
    assert provider.request_count == 4 == len(calls(guard))


def test_i03_a_model_made_before_settings_does_not_hear_of_their_callbacks(guarded: Guarded, serve: Serve) -> None:
    """Ours does not depend on them."""
    provider = serve()
    llm = openai(provider)
    Settings.callback_manager = CallbackManager([TokenCountingHandler()])
    guard = guarded(budgets=[ONE])
    llm.chat(HI)
    with pytest.raises(StoppedError):
        llm.chat(HI)
    assert len(calls(guard)) == provider.request_count == 1


def test_i04_a_second_handler_of_the_global_handlers_type_is_an_error(
    guarded: Guarded, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We set none, and live beside the program's."""

    class Theirs(BaseCallbackHandler):
        heard = 0

        def __init__(self) -> None:
            super().__init__([], [])

        def on_event_start(self, *args: Any, **kwargs: Any) -> str:
            Theirs.heard += 1
            return ""

        def on_event_end(self, *args: Any, **kwargs: Any) -> None: ...
        def start_trace(self, trace_id: str | None = None) -> None: ...
        def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None: ...

    monkeypatch.setattr(llama_index.core, "global_handler", Theirs())
    provider, guard = serve(), guarded()
    openai(provider).chat(HI)
    openai(provider).chat(HI)
    assert Theirs.heard == 2
    assert len(calls(guard)) == 2


def test_i05_copies_of_a_model_keep_its_handlers(guarded: Guarded, serve: Serve) -> None:
    """And count once."""
    provider, guard = serve(), guarded()
    llm = openai(provider)
    llm.chat(HI)
    llm.model_copy().chat(HI)
    assert len(calls(guard)) == 2


def test_i06_engines_swallow_a_value_error(guarded: Guarded, serve: Serve) -> None:
    """The stop is none."""
    provider, _ = serve(), guarded(budgets=[Budget("0 calls", period="lifetime")])
    with pytest.raises(StoppedError) as caught:
        SummaryIndex.from_documents([Document(text="a")]).as_query_engine(llm=openai(provider)).query("q")
    assert not isinstance(caught.value, ValueError)
    assert provider.request_count == 0


def test_i07_a_stop_inside_a_tool_becomes_the_tools_answer_and_the_agent_goes_on(guarded: Guarded, serve: Serve) -> None:
    """Its next call is refused: nothing is sent after the stop, and the stop comes out of the run."""
    provider = serve(looking_up)
    guard = guarded(budgets=[Budget("2 calls", per=["run"])])
    llm = openai(provider)

    def lookup(q: str = "x") -> str:
        """Ask the model twice."""
        llm.complete("one")
        return str(llm.complete("two"))

    agent = FunctionAgent(tools=[FunctionTool.from_defaults(lookup)], llm=llm, name="planner")
    with pytest.raises(StoppedError):
        asyncio.run(_run(agent))
    assert provider.request_count == 2 == len(calls(guard))
    assert {call.attribution.agent for call in calls(guard)} == {"planner"}


async def _run(agent: Any) -> Any:
    return await asyncio.wait_for(agent.run("go"), 20)


def test_i08_workflows_before_2_14_hang_on_what_is_no_exception(guarded: Guarded, serve: Serve) -> None:
    """The stop is an Exception and arrives as itself, in time."""
    provider, _ = serve(), guarded(budgets=[Budget("0 calls", period="lifetime")])
    with pytest.raises(StoppedError):
        asyncio.run(_run(FunctionAgent(tools=[LOOKUP], llm=openai(provider), name="planner")))


def test_i09_a_cancelled_run_is_charged_and_leaves_nothing_pending(guarded: Guarded, serve: Serve) -> None:
    """We never raise CancelledError ourselves, and take the program's for what it is."""
    gate = threading.Event()
    provider = serve([Reply(gate=gate)])
    guard = guarded()

    async def cancelled() -> None:
        task = asyncio.create_task(openai(provider).achat(HI))
        await asyncio.to_thread(provider.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert states(guard) == ["posted"]
        gate.set()

    asyncio.run(cancelled())
    assert certainty(guard) == ["estimated"]


class Wrapper(CustomLLM):
    """A program's own model around another one."""

    inner: Any = None
    name: str = "unknown"

    @property
    def metadata(self) -> LLMMetadata:
        """Its name."""
        return LLMMetadata(model_name=self.name)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Ask the other one."""
        return self.inner.complete(prompt) if self.inner else CompletionResponse(text="fine", raw={"usage": USED})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """Ask the other one."""
        return self.inner.stream_complete(prompt)


@pytest.mark.parametrize("name", ["unknown", "gpt-4o-mini"])
def test_i10_layers_of_one_model_report_one_request_two_or_three_times(name: str, guarded: Guarded, serve: Serve) -> None:
    """It is one entry, with the inner one's usage."""
    provider, guard = serve(), guarded()
    llm = Wrapper(inner=openai(provider), name=name)
    llm.chat(HI)
    list(llm.stream_complete("hi"))
    assert provider.request_count == 2
    assert [c.name for c in calls(guard) if c.state.value == "posted"] == ["gpt-4o-mini"] * 2
    assert tokens(guard) == (200, 40)


def test_i10_a_model_of_the_programs_own_counts_once(guarded: Guarded) -> None:
    """Chat calls complete, both report, both with usage."""
    guard = guarded(unpriced="flag")
    Wrapper().chat(HI)
    MockLLM(max_tokens=5).chat(HI)
    assert [(c.name, c.state.value) for c in calls(guard)] == [("Wrapper", "posted"), ("MockLLM", "posted")]
    assert calls(guard)[0].settlement.usage.input_tokens == 100  # type: ignore[union-attr]


def test_i12_a_model_whose_methods_lack_llamaindexs_decorators_is_invisible_to_it(guarded: Guarded) -> None:
    """No hook of LlamaIndex tells: the page says so, and `guard.model` around it meters."""

    class Bare(Wrapper):
        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            return CompletionResponse(text="unseen")

    guard = guarded(unpriced="flag")
    assert Bare().complete("hi").text == "unseen"
    assert calls(guard) == []


def test_i13_the_client_sends_one_failing_call_several_times(guarded: Guarded, serve: Serve) -> None:
    """Nobody hears of its own retries: one entry, attempts unknown, void after a clean error."""
    provider, guard = serve([Reply(status=500), Reply(status=500), Reply(**USED)]), guarded()
    openai(provider, max_retries=2, reuse_client=True).chat(HI)
    assert provider.request_count == 3
    (only,) = calls(guard)
    assert only.settlement is not None
    assert only.settlement.attempt_count is None


def test_i14_a_stream_that_nobody_reads_never_ends(guarded: Guarded, serve: Serve) -> None:
    """It is charged when it is dropped, and does not stay pending."""
    provider, guard = serve(), guarded()
    stream = openai(provider).stream_chat(HI)
    del stream
    gc.collect()
    assert states(guard) == ["posted"]
    assert certainty(guard) == ["estimated"]


@pytest.mark.parametrize("is_async", [False, True])
def test_i15_a_stream_closed_early_reports_no_usage(is_async: bool, guarded: Guarded, serve: Serve) -> None:
    """It is charged by the prompt and what was seen."""
    provider, guard = serve([Reply(text="word " * 100, chunks=10)]), guarded()

    async def two() -> None:
        stream = await openai(provider).astream_chat(HI)
        await anext(stream)
        await anext(stream)
        await stream.aclose()

    if is_async:
        asyncio.run(two())
    else:
        stream = openai(provider).stream_chat(HI)
        next(stream), next(stream)
        stream.close()
    assert states(guard) == ["posted"]
    assert certainty(guard) == ["estimated"]
    assert 0 < tokens(guard)[1] < 125


def test_i16_a_stream_cut_by_the_server_is_charged_by_what_was_seen(guarded: Guarded, serve: Serve) -> None:
    """Whether LlamaIndex takes it for an end or for an error."""
    provider, guard = serve([Reply(text="word " * 100, chunks=10, cut_after_chunks=4)]), guarded()
    with pytest.raises(Exception, match=r"incomplete|peer|connection"):
        list(openai(provider).stream_chat(HI))
    assert states(guard) == ["posted"]
    assert certainty(guard) == ["estimated"]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_i16_an_error_of_the_server_is_voided(status: int, guarded: Guarded, serve: Serve) -> None:
    """Nothing was billed."""
    provider, guard = serve([Reply(status=status)]), guarded()
    with pytest.raises(APIError):
        openai(provider).chat(HI)
    with pytest.raises(APIError):
        list(openai(provider).stream_chat(HI))
    assert states(guard) == ["voided", "voided"]


def test_i17_tags_of_llamaindex_replace_each_other_and_stay_out_of_threads(guarded: Guarded, serve: Serve) -> None:
    """Flat `runguard_*` tags are read where a call starts; a session of ours stays in copied contexts."""
    provider, guard = serve(), guarded()
    with guard.session("chat", user="ada"), instrument_tags({"runguard_feature": "search", "runguard_tag_tier": "pro"}):
        openai(provider).chat(HI)
    (only,) = calls(guard)
    assert (only.attribution.session, only.attribution.user, only.attribution.feature) == ("chat", "ada", "search")
    assert dict(only.attribution.tags) == {"tier": "pro"}


def test_i18_step_tags_hold_the_prompt(guarded: Guarded, serve: Serve) -> None:
    """No text of a prompt is in the ledger, in events or in attribution."""
    provider, guard = serve(looking_up), guarded()
    asyncio.run(_run_with(FunctionAgent(tools=[LOOKUP], llm=openai(provider), name="planner"), "my secret question"))
    said = repr(calls(guard)) + repr(calls(guard, "tool")) + repr(guard.store.events())
    assert "secret" not in said


async def _run_with(agent: Any, text: str) -> Any:
    return await agent.run(text)


def test_i19_the_usage_of_embeddings_is_dropped(guarded: Guarded, serve: Serve) -> None:
    """The estimate is marked as one, split over the batches that are sent."""
    provider, guard = serve(), guarded()
    model = embeddings(provider)
    model.embed_batch_size = 2
    model.get_text_embedding_batch(["a" * 400, "b" * 400, "c" * 400])
    assert provider.request_count == 2 == len(calls(guard))
    assert certainty(guard) == ["estimated", "estimated"]
    assert 250 < tokens(guard)[0] < 500
    assert {call.attribution.turn for call in calls(guard)} == {None}


def test_i20_other_observers_see_a_stop_as_an_error_and_nothing_twice(guarded: Guarded, serve: Serve) -> None:
    """Their start without an end is theirs; ours is refused once."""
    counter = TokenCountingHandler()
    provider = serve()
    guard = guarded(budgets=[ONE])
    llm = openai(provider, callback_manager=CallbackManager([counter]))
    llm.chat(HI)
    with pytest.raises(StoppedError):
        llm.chat(HI)
    assert len(counter.llm_token_counts) == 1
    assert len(calls(guard)) == 1


def test_i21_a_tool_cannot_be_stopped_by_a_hook_but_by_its_wrapper(guarded: Guarded, serve: Serve) -> None:
    """`guard.tool` refuses before the function runs."""
    ran: list[str] = []

    def lookup(q: str = "x") -> str:
        """Look something up."""
        ran.append(q)
        return q

    provider = serve(looking_up)
    guard = guarded(budgets=[Budget("0 tool calls", period="lifetime")])
    tool = FunctionTool.from_defaults(guard.tool(lookup), name="lookup", description="looks up")
    with pytest.raises(StoppedError):
        asyncio.run(_run(FunctionAgent(tools=[tool], llm=openai(provider), name="planner")))
    assert ran == []


def test_i22_llamaindexs_own_token_budget_raises_after_the_answer_was_paid(guarded: Guarded, serve: Serve) -> None:
    """Ours before: of ten at once five are sent, in threads and in tasks."""
    provider, _ = serve(), guarded(budgets=[FIVE])
    llm = openai(provider)

    def attempt(_: int) -> bool:
        try:
            llm.chat(HI)
        except StoppedError:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(attempt, range(10))) == 5

    async def gathered() -> list[Any]:
        return await asyncio.gather(*(llm.achat(HI) for _ in range(10)), return_exceptions=True)

    assert all(isinstance(result, StoppedError) for result in asyncio.run(gathered()))
    assert provider.request_count == 5


def test_i23_importing_the_adapter_does_not_import_llamaindex() -> None:
    """LlamaIndex takes seconds; installing waits until the program imports it."""
    program = (
        "import sys, runguard_llama_index; from runguard_core import Guard\n"
        "runguard_llama_index.install(Guard(app='x', store='memory://'))\n"
        "assert 'llama_index.core' not in sys.modules and 'llama_index_instrumentation' not in sys.modules\n"
        "from llama_index.core.instrumentation import get_dispatcher\n"
        "print([type(one).__name__ for one in get_dispatcher().span_handlers])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "RunGuardSpanHandler" in done.stdout


def test_uninstrumenting_takes_the_gate_out_everywhere(guarded: Guarded, serve: Serve) -> None:
    """Also out of models that had it."""
    provider, guard = serve(), guarded(budgets=[ONE])
    llm = openai(provider)
    llm.chat(HI)
    uninstrument()
    llm.chat(HI)
    assert provider.request_count == 2
    assert len(calls(guard)) == 1
