"""All three frameworks in one process, all three adapters installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import litellm
import pytest
from langchain_openai import ChatOpenAI
from llama_index.llms.litellm import LiteLLM

import runguard_langchain
import runguard_litellm
import runguard_llama_index
from runguard_core import Guard
from runguard_core.testing import FakeProvider
from tests.integrations.litellm.conftest import as_it_was

__all__ = ["as_it_was"]
Guarded = Callable[..., Guard]
litellm.suppress_debug_info = True


@pytest.fixture
def guarded(make_guard: Callable[..., Guard]) -> Iterator[Guarded]:
    """A guard that is installed everywhere, by its entry points."""

    def make(**settings: Any) -> Guard:
        guard = make_guard(**settings)
        assert guard.install() == ("langchain", "litellm", "llama_index")
        return guard

    yield make
    runguard_langchain.uninstall()
    runguard_litellm.uninstall()
    runguard_llama_index.uninstall()


def over_litellm(provider: FakeProvider, **more: Any) -> LiteLLM:
    """LlamaIndex's model over LiteLLM."""
    given = {"model": "openai/gpt-4o-mini", "api_base": provider.openai_url, "api_key": "x", "max_retries": 0, **more}
    return LiteLLM(**given)


def langchain_chat(provider: FakeProvider, **more: Any) -> ChatOpenAI:
    """LangChain's model."""
    return ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="x", max_retries=0, **more)  # type: ignore[arg-type]
