"""LlamaIndex's traps, one test each: what it does by itself is in the name, what we do is in the test."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llama_index.core
import llama_index.core.tools.function_tool
import pytest
from llama_index.core import Document, Settings, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.tools import FunctionTool

from runguard_core import Budget, StoppedError
from runguard_core.testing import Reply, ToolUse
from runguard_llama_index import instrument, uninstrument
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls, certainty, tokens
from tests.integrations.llama_index.conftest import HI, LOOKUP, Guarded, looking_up, openai

ONE = Budget("1 calls", period="lifetime")
FIVE = Budget("5 calls", period="lifetime")


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
    llm.callback_manager = CallbackManager([TokenCountingHandler()])  # a list of its own
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

    async def lookup(q: str = "x") -> str:
        """Ask the model twice."""
        await llm.acomplete("one")
        return str(await llm.acomplete("two"))

    agent = FunctionAgent(tools=[FunctionTool.from_defaults(async_fn=lookup)], llm=llm, name="planner")
    with pytest.raises(StoppedError):
        asyncio.run(_run(agent))
    assert provider.request_count == 2 == len(calls(guard))
    assert {call.attribution.agent for call in calls(guard)} == {"planner"}


def test_i07_a_synchronous_tool_runs_in_a_thread_and_older_versions_forget_whose_it_is(guarded: Guarded, serve: Serve) -> None:
    """Where LlamaIndex copies the context, its calls are the agent's; elsewhere they are runs of their own, metered all the same."""
    provider = serve(looking_up)
    guard = guarded()
    llm = openai(provider)

    def lookup(q: str = "x") -> str:
        """Ask the model."""
        return str(llm.complete("one"))

    asyncio.run(_run(FunctionAgent(tools=[FunctionTool.from_defaults(lookup)], llm=llm, name="planner")))
    assert provider.request_count == 3 == len(calls(guard))
    copies = "copy_context" in inspect.getsource(llama_index.core.tools.function_tool)
    assert [call.attribution.agent for call in calls(guard)] == ["planner", "planner" if copies else None, "planner"]


async def _run(agent: Any) -> Any:
    return await asyncio.wait_for(agent.run("go"), 20)


def test_i08_workflows_before_2_14_hang_on_what_is_no_exception(guarded: Guarded, serve: Serve) -> None:
    """The stop is an Exception and arrives as itself, in time."""
    provider, _ = serve(), guarded(budgets=[Budget("0 calls", period="lifetime")])
    with pytest.raises(StoppedError):
        asyncio.run(_run(FunctionAgent(tools=[LOOKUP], llm=openai(provider), name="planner")))


def test_i24_only_a_base_exception_leaves_parallel_tools_at_once(guarded: Guarded, serve: Serve) -> None:
    """Ours is none, for the sake of older workflows: the sibling ends, nothing more is sent, no task is left."""
    asks = tuple(ToolUse("lookup", {"q": q}) for q in "ab")
    provider, guard = serve(lambda request: Reply(tool_calls=asks)), guarded(budgets=[Budget("2 calls", per=["run"])])
    llm = openai(provider)

    async def lookup(q: str = "x") -> str:
        """Ask the model."""
        return str(await llm.acomplete(q))

    async def main() -> set[Any]:
        with pytest.raises(StoppedError):
            await _run(FunctionAgent(tools=[FunctionTool.from_defaults(async_fn=lookup)], llm=llm, name="planner"))
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()
    assert provider.request_count == 2 == len(calls(guard))


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


def test_i20_a_handler_of_the_programs_own_that_raises_after_ours_leaves_nothing_pending(guarded: Guarded, serve: Serve) -> None:
    """The request was never made, and LlamaIndex reports no end of it."""

    class Late(TokenCountingHandler):
        def on_event_start(self, *args: Any, **kwargs: Any) -> str:
            raise KeyError("theirs")

    provider, guard = serve(), guarded()
    llm = openai(provider, callback_manager=CallbackManager([TokenCountingHandler()]))
    llm.chat(HI)
    llm.callback_manager.add_handler(Late())
    with pytest.raises(KeyError):
        llm.chat(HI)
    assert provider.request_count == 1
    assert "pending" not in {call.state.value for call in calls(guard)}


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
