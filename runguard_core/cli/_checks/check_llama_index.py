"""Run by `runguard doctor` in a process of its own: every way LlamaIndex calls a model."""

import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or LiteLLM, if it is what is here, asks the network for prices

from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.llms import ChatMessage

from runguard_core.testing import FakeProvider, check_kinds

try:
    from llama_index.llms.openai import OpenAI as Model

    NAME = "gpt-4o-mini"
except ImportError:
    from llama_index.llms.litellm import LiteLLM as Model

    NAME = "openai/gpt-4o-mini"
HI = [ChatMessage("hi")]


def chat(provider: FakeProvider) -> Model:
    """A real client that talks to the provider."""
    return Model(model=NAME, api_base=provider.openai_url, api_key="x", max_retries=0)


async def _drain(stream) -> None:
    async for _ in await stream:
        pass


async def _run(agent) -> None:
    await agent.run("go")


def engine(provider: FakeProvider, **more: object):
    """Of one document."""
    return SummaryIndex.from_documents([Document(text="a")]).as_query_engine(llm=chat(provider), **more)


check_kinds(
    "llama_index",
    {
        "chat": lambda p: chat(p).chat(HI),
        "complete": lambda p: chat(p).complete("hi"),
        "stream_chat": lambda p: list(chat(p).stream_chat(HI)),
        "achat": lambda p: asyncio.run(chat(p).achat(HI)),
        "astream_chat": lambda p: asyncio.run(_drain(chat(p).astream_chat(HI))),
        "query engine": lambda p: engine(p).query("q"),
        "query engine, streaming": lambda p: list(engine(p, streaming=True).query("q").response_gen),
        "FunctionAgent": lambda p: asyncio.run(_run(FunctionAgent(tools=[], llm=chat(p), name="a"))),
        "ReActAgent": lambda p: asyncio.run(_run(ReActAgent(tools=[], llm=chat(p), name="a"))),
    },
    ("llama_index_instrumentation.dispatcher:active_instrument_tags", "llama_index_instrumentation.span:active_span_id"),
)
