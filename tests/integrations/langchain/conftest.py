"""Real LangChain, real clients, a local provider over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from runguard_core import CallFilter, CallRecord, Guard
from runguard_core.testing import FakeProvider, Reply, ToolUse
from runguard_langchain import uninstall

Serve = Callable[..., FakeProvider]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start providers; close them at the end."""
    started: list[FakeProvider] = []

    def start(script: Any = None) -> FakeProvider:
        provider = FakeProvider(script or [Reply(input_tokens=100, output_tokens=20)]).start()
        started.append(provider)
        return provider

    yield start
    for provider in started:
        provider.close()


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


def calls(guard: Guard, kind: str = "model") -> list[CallRecord]:
    """The ledger's calls of a kind."""
    return [call for call in guard.store.calls(CallFilter()) if call.kind == kind]


def tokens(guard: Guard) -> tuple[int, int]:
    """Input and output tokens of the whole ledger."""
    usages = [call.settlement.usage for call in calls(guard) if call.settlement and call.settlement.usage]
    return sum(u.input_tokens for u in usages), sum(u.output_tokens for u in usages)


def looping(name: str = "lookup", **arguments: Any) -> Reply:
    """An answer that asks for a tool."""
    return Reply(tool_calls=(ToolUse(name, arguments),), input_tokens=100, output_tokens=20)


@tool
def lookup(q: str = "x") -> str:
    """Look something up."""
    return f"found {q}"
