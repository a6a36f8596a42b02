"""Run by `runguard doctor` in a process of its own: every way LangChain calls a model."""

import asyncio

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

from runguard_core.testing import FakeProvider, check_kinds


def chat(provider: FakeProvider) -> ChatOpenAI:
    """A real client that talks to the provider."""
    return ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="x", max_retries=0, stream_usage=True)


async def _drain(provider: FakeProvider) -> None:
    async for _ in chat(provider).astream("hi"):
        pass


check_kinds(
    "langchain",
    {
        "invoke": lambda p: chat(p).invoke("hi"),
        "ainvoke": lambda p: asyncio.run(chat(p).ainvoke("hi")),
        "stream": lambda p: list(chat(p).stream("hi")),
        "astream": lambda p: asyncio.run(_drain(p)),
        "batch": lambda p: chat(p).batch(["hi"]),
        "agent": lambda p: create_agent(chat(p), []).invoke({"messages": [("user", "hi")]}),
    },
    ("langgraph.errors:GraphBubbleUp", "langchain_core.tracers.context:register_configure_hook"),
)
try:
    import langchain_anthropic  # noqa: F401
except ImportError:
    pass
else:
    check_kinds("langchain", {}, ("langchain_anthropic:ChatAnthropic._make_message_chunk_from_anthropic_event",))
