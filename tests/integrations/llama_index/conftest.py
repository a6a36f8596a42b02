"""Real LlamaIndex, real clients, a local provider over HTTP."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

with warnings.catch_warnings():  # older versions warn of their own models when they are first imported
    warnings.simplefilter("ignore")
    import llama_index.core.agent.workflow
    import llama_index.llms.openai  # noqa: F401
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

from runguard_core import Guard
from runguard_core.testing import FakeProvider, Reply, Request, ToolUse
from runguard_llama_index import instrument, uninstrument

Guarded = Callable[..., Guard]
HI = [ChatMessage("hi there")]
USED = {"input_tokens": 100, "output_tokens": 20}


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """No test leaves a hook or a default behind."""
    yield
    uninstrument()
    Settings._llm = Settings._embed_model = None
    Settings.callback_manager = CallbackManager()


@pytest.fixture
def guarded(make_guard: Callable[..., Guard]) -> Guarded:
    """A guard that is installed."""

    def make(**settings: Any) -> Guard:
        guard = make_guard(**settings)
        instrument(guard)
        return guard

    return make


def openai(provider: FakeProvider, **more: Any) -> OpenAI:
    """A real OpenAI model that talks to the provider."""
    return OpenAI(**{"model": "gpt-4o-mini", "api_base": provider.openai_url, "api_key": "x", "max_retries": 0, **more})


def embeddings(provider: FakeProvider) -> OpenAIEmbedding:
    """A real embedding model that talks to the provider."""
    return OpenAIEmbedding(model="text-embedding-3-small", api_base=provider.openai_url, api_key="x", max_retries=0)


def looking_up(request: Request) -> Reply:
    """Asks for the tool once, answers when it has its result."""
    has_result = any(message.get("role") == "tool" for message in request.body.get("messages", ()))
    asks = request.body.get("tools") and not has_result
    return Reply(tool_calls=(ToolUse("lookup", {"q": "a"}),) if asks else (), **USED)


def lookup(q: str = "x") -> str:
    """Look something up."""
    return f"found {q}"


LOOKUP = FunctionTool.from_defaults(lookup)
