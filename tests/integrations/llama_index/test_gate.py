"""Every kind of call LlamaIndex makes is stopped before its request, as a `StoppedError`, and metered when it passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel

from runguard_core import Budget, Guard, StoppedError
from runguard_core.testing import FakeProvider, Reply, Request, ToolUse
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls, tokens
from tests.integrations.llama_index.conftest import HI, LOOKUP, Guarded, embeddings, looking_up, openai

USED = {"input_tokens": 100, "output_tokens": 20}
DOCUMENTS = [Document(text="the sky is blue"), Document(text="grass is green")]


class City(BaseModel):
    """A city."""

    name: str


def answer(request: Request) -> Reply:
    """Whatever is asked for: a tool's call for structured answers, else text."""
    tools = [tool["function"]["name"] for tool in request.body.get("tools") or ()]
    if "City" in tools:
        return Reply(tool_calls=(ToolUse("City", {"name": "Paris"}),), **USED)
    if request.body.get("response_format"):
        return Reply(text='{"name": "Paris"}', **USED)
    return looking_up(request)


async def drained(stream: Any) -> None:
    """To its end."""
    async for _ in await stream:
        pass


KINDS: dict[str, Callable[[FakeProvider], Any]] = {
    "chat": lambda p: openai(p).chat(HI),
    "complete": lambda p: openai(p).complete("hi"),
    "stream_chat": lambda p: list(openai(p).stream_chat(HI)),
    "stream_complete": lambda p: list(openai(p).stream_complete("hi")),
    "achat": lambda p: asyncio.run(openai(p).achat(HI)),
    "acomplete": lambda p: asyncio.run(openai(p).acomplete("hi")),
    "astream_chat": lambda p: asyncio.run(drained(openai(p).astream_chat(HI))),
    "astream_complete": lambda p: asyncio.run(drained(openai(p).astream_complete("hi"))),
    "predict": lambda p: openai(p).predict(PromptTemplate("hi")),
    "chat_with_tools": lambda p: openai(p).chat_with_tools([LOOKUP], "hi"),
    "structured_predict": lambda p: openai(p).structured_predict(City, PromptTemplate("hi")),
    "as_structured_llm": lambda p: openai(p).as_structured_llm(City).chat(HI),
    "predict_and_call": lambda p: openai(p).predict_and_call([LOOKUP], "hi"),
    "text embedding": lambda p: embeddings(p).get_text_embedding("hi"),
    "query embedding": lambda p: embeddings(p).get_query_embedding("hi"),
    "embedding batch": lambda p: embeddings(p).get_text_embedding_batch(["a", "b"]),
    "aembedding batch": lambda p: asyncio.run(embeddings(p).aget_text_embedding_batch(["a", "b"])),
    "summary query engine": lambda p: SummaryIndex.from_documents(DOCUMENTS[:1]).as_query_engine(llm=openai(p)).query("q"),
    "streaming query engine": lambda p: list(
        SummaryIndex.from_documents(DOCUMENTS[:1]).as_query_engine(llm=openai(p), streaming=True).query("q").response_gen
    ),
    "chat engine": lambda p: SummaryIndex.from_documents(DOCUMENTS).as_chat_engine(llm=openai(p), chat_mode="simple").chat("q"),
    "llm rerank": lambda p: LLMRerank(llm=openai(p)).postprocess_nodes([NodeWithScore(node=TextNode(text="a"))], query_str="q"),
    "function agent": lambda p: asyncio.run(_agent(FunctionAgent(tools=[], llm=openai(p), name="planner"))),
    "function agent, not streaming": lambda p: asyncio.run(
        _agent(FunctionAgent(tools=[], llm=openai(p), name="planner", streaming=False))
    ),
    "react agent": lambda p: asyncio.run(_agent(ReActAgent(tools=[LOOKUP], llm=openai(p), name="planner"))),
    "agent workflow": lambda p: asyncio.run(
        _agent(AgentWorkflow(agents=[FunctionAgent(tools=[], llm=openai(p), name="planner", description="plans")]))
    ),
}


async def _agent(agent: Any) -> Any:
    return await agent.run("go")


@pytest.mark.parametrize("kind", KINDS)
def test_the_call_over_the_cap_is_not_sent_and_arrives_as_a_stop(kind: str, guarded: Guarded, serve: Serve) -> None:
    """The budget is used up by another call; afterwards the server has seen that one only."""
    provider = serve(answer)
    guard = guarded(budgets=[Budget("1 calls", period="lifetime")])
    openai(provider).chat(HI)
    with pytest.raises(StoppedError):
        KINDS[kind](provider)
    assert provider.request_count == 1
    assert len(calls(guard)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_passes_is_one_entry_a_request_with_the_usage_reported(kind: str, guarded: Guarded, serve: Serve) -> None:
    """Nested layers count once; embeddings, whose usage LlamaIndex drops, are estimates."""
    provider = serve(answer)
    guard = guarded()
    KINDS[kind](provider)
    found = calls(guard)
    assert provider.request_count == len(found) >= 1
    assert {call.state.value for call in found} == {"posted"}
    if "embedding" in kind:
        assert {call.settlement.certainty.value for call in found if call.settlement} == {"estimated"}
    else:
        assert tokens(guard) == (provider.input_tokens, provider.output_tokens)
        assert {call.settlement.certainty.value for call in found if call.settlement} == {"exact"}


@pytest.mark.parametrize("kind", ["vector", "sub questions", "agent as a tool", "query engine as a tool"])
def test_a_stop_inside_is_swallowed_and_nothing_is_sent_all_the_same(kind: str, guarded: Guarded, serve: Serve) -> None:
    """Where LlamaIndex turns exceptions into text the latch holds, and the agent's own next call brings the stop out."""
    provider = serve(answer)
    llm, embed = openai(provider), embeddings(provider)
    index = VectorStoreIndex.from_documents(DOCUMENTS, embed_model=embed)
    engine = index.as_query_engine(llm=llm)
    before = provider.request_count
    guard: Guard = guarded(budgets=[Budget("2 calls", per=["run"]), Budget("2 calls", period="lifetime")])
    tool = QueryEngineTool.from_defaults(engine, name="lookup", description="looks things up")

    async def inner(q: str) -> str:
        """Ask another agent."""
        return str(await FunctionAgent(tools=[], llm=llm, name="inner").run(q))

    from llama_index.core.tools import FunctionTool

    asked = {
        "vector": lambda: (engine.query("one"), engine.query("two")),
        "sub questions": lambda: SubQuestionQueryEngine.from_defaults(
            [tool], llm=llm, use_async=False, question_gen=LLMQuestionGenerator.from_defaults(llm=llm)
        ).query("q"),
        "agent as a tool": lambda: asyncio.run(
            _agent(FunctionAgent(tools=[FunctionTool.from_defaults(async_fn=inner, name="lookup")], llm=llm, name="outer"))
        ),
        "query engine as a tool": lambda: asyncio.run(_agent(FunctionAgent(tools=[tool], llm=llm, name="outer"))),
    }
    try:
        asked[kind]()
    except StoppedError:
        pass
    except Exception as error:  # noqa: BLE001  an engine may report its own trouble with an answer it did not get
        assert "budget" in str(error) or kind == "sub questions"
    assert 1 <= provider.request_count - before == len(calls(guard)) <= 2


def test_identity_agent_turn_tool_run_and_session(guarded: Guarded, serve: Serve) -> None:
    """Two turns of one tool loop, under the agent's name, in one run; the tool is an entry too."""
    provider = serve(looking_up)
    guard = guarded()
    with guard.session("chat"):
        asyncio.run(_agent(FunctionAgent(tools=[LOOKUP], llm=openai(provider), name="planner")))
    first, second = calls(guard)
    assert [(c.attribution.agent, c.attribution.session, c.attribution.turn) for c in (first, second)] == [
        ("planner", "chat", 1), ("planner", "chat", 2),
    ]  # fmt: skip
    assert first.attribution.run == second.attribution.run
    assert first.attribution.loop == second.attribution.loop
    (tool,) = calls(guard, "tool")
    assert (tool.name, tool.attribution.agent, tool.attribution.run) == ("lookup", "planner", first.attribution.run)


def test_what_the_prompt_is_made_of_is_known_by_origin(guarded: Guarded, serve: Serve) -> None:
    """System, user, the tool's schema and its results; sizes only."""
    provider = serve(looking_up)
    guard = guarded()
    agent = FunctionAgent(tools=[LOOKUP], llm=openai(provider), name="planner", system_prompt="be brief")
    asyncio.run(_agent(agent))
    parts = {part.origin: part.chars for part in calls(guard)[-1].parts}
    assert parts["system"] == len("be brief")
    assert parts["user"] == len("go")
    assert parts["tools"] > 50
    assert any(origin.startswith("tool:") for origin in parts)


def test_chat_messages_with_media_are_counted_as_such(guarded: Guarded, serve: Serve) -> None:
    """An image has no text, and no bound."""
    from llama_index.core.llms import ImageBlock, TextBlock

    provider, guard = serve(), guarded()
    message = ChatMessage(role="user", blocks=[TextBlock(text="what is it?"), ImageBlock(url="http://127.0.0.1/x.png")])
    openai(provider, model="gpt-4o").chat([message])
    assert calls(guard)[0].parts[0].chars == len("what is it?")
