"""P1 to P12: attaching, and stopping before the request."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import tomllib
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import OpenAI
from langgraph.errors import GraphBubbleUp
from langgraph.prebuilt import ToolNode

from runguard_core import Budget, StoppedError
from runguard_core.testing import Reply
from runguard_langchain import RunGuardCallbackHandler, RunGuardMiddleware, activate
from tests.integrations.langchain.conftest import anthropic, lookup, looping, openai
from tests.integrations.ledger import calls, tokens

ASK = {"messages": [("user", "hi")]}


def test_p01_python_310_is_not_supported_and_calls_without_config_are_seen(serve: Any, make_guard: Any) -> None:
    """Async graphs lose callbacks on 3.10: we ask for 3.11, and `activate` sees a call that was given no config at all."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11"
    provider, guard = serve(), make_guard()
    with activate(guard):
        asyncio.run(openai(provider).ainvoke("hi"))
    assert len(calls(guard)) == provider.request_count == 1


def test_p02_the_handler_raises_into_the_program(make_guard: Any) -> None:
    """Without raise_error LangChain logs the stop and sends the request."""
    assert RunGuardCallbackHandler(make_guard()).raise_error is True


def test_p03_the_handler_is_synchronous(make_guard: Any) -> None:
    """Exceptions of async handlers are swallowed under sync entry points."""
    handler = RunGuardCallbackHandler(make_guard())
    assert not [n for n, f in inspect.getmembers(handler, inspect.iscoroutinefunction) if n.startswith("on_")]


async def test_p04_the_handler_runs_inline(serve: Any, make_guard: Any) -> None:
    """On the caller's thread and in its context, so that the current session is seen on the async path."""
    provider, guard = serve(), make_guard()
    assert RunGuardCallbackHandler(guard).run_inline is True
    async with guard.session("s-7"):
        await openai(provider).ainvoke("hi", config={"callbacks": [RunGuardCallbackHandler(guard)]})
    assert calls(guard)[0].attribution.session == "s-7"


async def test_p05_completion_models_are_gated_sync_and_async(serve: Any, make_guard: Any) -> None:
    """An inline handler beside a completion model: ours is called, and stops."""
    provider, guard = serve(), make_guard(budgets=[Budget("1 call", per=["session"])])
    model = OpenAI(model="gpt-3.5-turbo-instruct", base_url=provider.openai_url, api_key="test", max_retries=0)  # type: ignore[arg-type]
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)], "metadata": {"runguard_session": "s"}}
    await model.ainvoke("hi", config=config)
    with pytest.raises(StoppedError):
        model.invoke("hi", config=config)
    with pytest.raises(StoppedError):
        await model.ainvoke("hi", config=config)
    assert provider.request_count == len(calls(guard)) == 1
    assert tokens(guard) == (100, 20)


def entry_points() -> dict[str, Any]:
    """Every way to call a chat model; each exhausts what it gets."""

    async def astream(model: Any, config: Any) -> None:
        async for _ in model.astream("hi", config=config):
            pass

    async def events(model: Any, config: Any) -> None:
        async for _ in model.astream_events("hi", config=config, version="v2"):
            pass

    return {
        "invoke": lambda m, c: m.invoke("hi", config=c),
        "ainvoke": lambda m, c: asyncio.run(m.ainvoke("hi", config=c)),
        "stream": lambda m, c: list(m.stream("hi", config=c)),
        "astream": lambda m, c: asyncio.run(astream(m, c)),
        "astream_events": lambda m, c: asyncio.run(events(m, c)),
        "batch": lambda m, c: m.batch(["hi"], config=c),
        "abatch": lambda m, c: asyncio.run(m.abatch(["hi"], config=c)),
        "chain": lambda m, c: (ChatPromptTemplate.from_messages([("user", "{x}")]) | m).invoke({"x": "hi"}, config=c),
    }


@pytest.mark.parametrize("protocol", [openai, anthropic])
@pytest.mark.parametrize("name", list(entry_points()))
def test_p06_no_entry_point_sends_a_refused_request(serve: Any, make_guard: Any, name: str, protocol: Any) -> None:
    """One call passes and is metered to the token; the next is refused before anything leaves."""
    provider, guard = serve(), make_guard(budgets=[Budget("1 call", per=["session"])])
    more = {"stream_usage": True} if protocol is openai else {}
    model = protocol(provider, **more)
    config = {"callbacks": [RunGuardCallbackHandler(guard)], "metadata": {"runguard_session": "s"}}
    run = entry_points()[name]
    run(model, config)
    with pytest.raises(StoppedError) as stopped:
        run(model, config)
    assert isinstance(stopped.value, GraphBubbleUp)
    assert provider.request_count == 1
    assert tokens(guard) == (provider.input_tokens, provider.output_tokens) == (100, 20)


def test_p07_a_stop_inside_a_tool_ends_the_run_although_tools_answer_errors(serve: Any, make_guard: Any) -> None:
    """`handle_tool_errors=True` turns plain exceptions into messages and the loop goes on; ours ends it."""
    provider, guard = serve(lambda _: looping(q="same")), make_guard()
    agent = create_agent(openai(provider), ToolNode([lookup], handle_tool_errors=True).tools_by_name.values())  # type: ignore[arg-type]
    with pytest.raises(StoppedError):
        agent.invoke(ASK, config={"callbacks": [RunGuardCallbackHandler(guard)]})
    assert provider.request_count == 3


def test_p08_retry_middleware_does_not_turn_a_stop_into_an_answer(serve: Any, make_guard: Any) -> None:
    """Its default swallows exceptions and answers with their text; older versions ours too, and send nothing more all the same."""
    provider, guard = serve(lambda r: looping(q=str(r.index))), make_guard(budgets=[Budget("2 calls", per=["run"])])
    agent = create_agent(openai(provider), [lookup], middleware=[ModelRetryMiddleware()])
    lets_through = "GraphBubbleUp" in inspect.getsource(inspect.getmodule(ModelRetryMiddleware))  # type: ignore[arg-type]
    with pytest.raises(StoppedError) if lets_through else contextlib.nullcontext():
        agent.invoke(ASK, config={"callbacks": [RunGuardCallbackHandler(guard)]})
    assert provider.request_count == 2


def test_p09_an_error_of_a_tool_is_recorded_and_passed_on(serve: Any, make_guard: Any) -> None:
    """We rely on nothing here; the failure reaches the ledger and the program."""
    from langchain_core.tools import tool

    @tool
    def broken(q: str) -> str:
        """Break."""
        raise ValueError(q)

    provider, guard = serve([looping("broken", q="x")]), make_guard()
    with pytest.raises(ValueError, match="x"):
        create_agent(openai(provider), [broken]).invoke(ASK, config={"callbacks": [RunGuardCallbackHandler(guard)]})
    (record,) = calls(guard, "tool")
    assert record.settlement is not None
    assert record.settlement.error == "ValueError: x"


def test_p10_a_handler_given_twice_counts_once(serve: Any, make_guard: Any) -> None:
    """LangChain delivers each event twice to [h, h] and to with_config plus config."""
    provider, guard = serve(), make_guard()
    handler, asked = RunGuardCallbackHandler(guard), []
    reserve = guard.reserve
    guard.reserve = lambda *args, **kwargs: asked.append(args) or reserve(*args, **kwargs)
    openai(provider).invoke("hi", config={"callbacks": [handler, handler]})
    openai(provider).with_config(callbacks=[handler]).invoke("hi", config={"callbacks": [handler]})
    assert len(calls(guard)) == len(asked) == provider.request_count == 2
    assert tokens(guard) == (200, 40)


def test_p11_two_handlers_of_one_guard_are_one_attached_four_ways(serve: Any, make_guard: Any) -> None:
    """Constructor, config, block, process and middleware at once: one entry a call."""
    provider, guard = serve([looping(q="a"), Reply(input_tokens=100, output_tokens=20)]), make_guard()
    assert RunGuardCallbackHandler(guard) == RunGuardCallbackHandler(guard)
    assert RunGuardCallbackHandler(guard) != RunGuardCallbackHandler(make_guard())
    guard.install("langchain")
    model = openai(provider, callbacks=[RunGuardCallbackHandler(guard)])
    agent = create_agent(model, [lookup], middleware=[RunGuardMiddleware(guard)])
    with activate(guard):
        agent.invoke(ASK, config={"callbacks": [RunGuardCallbackHandler(guard)]})
    assert (len(calls(guard)), len(calls(guard, "tool"))) == (2, 1)
    assert tokens(guard) == (200, 40)


def test_p12_parameter_names_are_those_of_the_base_class(make_guard: Any) -> None:
    """LangChain passes some by keyword."""
    for name, method in inspect.getmembers(RunGuardCallbackHandler, inspect.isfunction):
        if name.startswith("on_"):
            ours, theirs = (
                inspect.signature(method).parameters,
                inspect.signature(getattr(BaseCallbackHandler, name)).parameters,
            )
            assert list(theirs)[:3] == list(ours)[:3], name


def test_a_stop_is_not_logged_as_an_error_of_the_handler(serve: Any, make_guard: Any, caplog: pytest.LogCaptureFixture) -> None:
    """LangChain would say "Error in RunGuardCallbackHandler"; errors of other handlers are still logged."""
    provider, guard = serve(), make_guard(budgets=[Budget("0 calls")])
    with pytest.raises(StoppedError):
        openai(provider).invoke("hi", config={"callbacks": [RunGuardCallbackHandler(guard)]})
    assert "Error in" not in caplog.text

    class Broken(BaseCallbackHandler):
        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            raise ValueError("theirs")

    openai(provider).invoke("hi", config={"callbacks": [Broken()]})
    assert "Error in Broken" in caplog.text
