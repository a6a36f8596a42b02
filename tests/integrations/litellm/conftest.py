"""Real LiteLLM, real clients, a local provider over HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # LiteLLM asks the network for prices at import otherwise

import litellm
from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

from runguard_core import CallFilter, CallRecord, Guard
from runguard_core.testing import FakeProvider, Reply
from runguard_litellm import install, uninstall

Serve = Callable[..., FakeProvider]
HI = [{"role": "user", "content": "hi there"}]
litellm.suppress_debug_info = True


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
def as_it_was() -> Iterator[None]:
    """No test leaves a hook, a callback, a cache or a default behind."""
    yield
    uninstall()
    litellm.logging_callback_manager._reset_all_callbacks()
    litellm.cache = None
    litellm.num_retries = None
    litellm.in_memory_llm_clients_cache.flush_cache()


@pytest.fixture
def guarded(make_guard: Callable[..., Guard]) -> Callable[..., Guard]:
    """A guard that is installed."""

    def make(**settings: Any) -> Guard:
        guard = make_guard(**settings)
        install(guard)
        return guard

    return make


def openai(provider: FakeProvider, **more: Any) -> dict[str, Any]:
    """Arguments of a call to the provider in OpenAI's protocol; no retries inside the client."""
    return {
        "model": "openai/gpt-4o-mini", "messages": HI, "api_base": provider.openai_url, "api_key": "test", "max_retries": 0, **more,
    }  # fmt: skip


def calls(guard: Guard, kind: str = "model") -> list[CallRecord]:
    """The ledger's calls of a kind."""
    guard.flush()
    return [call for call in guard.store.calls(CallFilter()) if call.kind == kind]


def states(guard: Guard) -> list[str]:
    """How the ledger's calls stand, sorted."""
    return sorted(call.state.value for call in calls(guard))


def tokens(guard: Guard) -> tuple[int, int]:
    """Input and output tokens of the whole ledger."""
    usages = [call.settlement.usage for call in calls(guard) if call.settlement and call.settlement.usage]
    return sum(u.input_tokens for u in usages), sum(u.output_tokens for u in usages)


def run(main: Any) -> Any:
    """Run a coroutine in a loop of its own, and let LiteLLM's background work end in it."""

    async def all_of_it() -> Any:
        try:
            return await main
        finally:
            mine = {asyncio.current_task(), getattr(GLOBAL_LOGGING_WORKER, "_worker_task", None)}
            events = asyncio.all_tasks() - mine
            if events:
                await asyncio.wait(events, timeout=2)
            await GLOBAL_LOGGING_WORKER.flush()

    return asyncio.run(all_of_it())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """LiteLLM warns of itself, its clients and its types all over; ours stay errors."""
    for item in items:
        if "integrations/litellm" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings("error:::runguard"))
            item.add_marker(pytest.mark.filterwarnings("ignore"))
