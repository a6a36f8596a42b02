"""Real LangChain, real clients, a local provider over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from runguard_core.testing import FakeProvider, Reply, ToolUse
from runguard_langchain import uninstall


@pytest.fixture(autouse=True)
def not_installed() -> Iterator[None]:
    """No test leaves a process-wide handler behind."""
    yield
    uninstall()


def openai(provider: FakeProvider, **more: Any) -> ChatOpenAI:
    """A real ChatOpenAI that talks to the provider."""
    settings: dict[str, Any] = {"model": "gpt-4o-mini", "max_retries": 0, **more}
    return ChatOpenAI(base_url=provider.openai_url, api_key="test", **settings)  # type: ignore[arg-type]


def anthropic(provider: FakeProvider, **more: Any) -> ChatAnthropic:
    """A real ChatAnthropic that talks to the provider."""
    settings: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_retries": 0, **more}
    return ChatAnthropic(base_url=provider.anthropic_url, api_key="test", **settings)


def looping(name: str = "lookup", **arguments: Any) -> Reply:
    """An answer that asks for a tool."""
    return Reply(tool_calls=(ToolUse(name, arguments),), input_tokens=100, output_tokens=20)


@tool
def lookup(q: str = "x") -> str:
    """Look something up."""
    return f"found {q}"
