"""Real LiteLLM, real clients, a local provider over HTTP."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any

import litellm
import pytest
from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

from runguard_core import Guard
from runguard_core.testing import FakeProvider
from runguard_litellm import install, uninstall

HI = [{"role": "user", "content": "hi there"}]
litellm.suppress_debug_info = True


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


def let_go() -> None:
    """LiteLLM's logging threads hold a stream until they are through with its chunks."""
    pool = litellm.utils.executor
    everyone = threading.Barrier(pool._max_workers)
    wait([pool.submit(everyone.wait, 10) for _ in range(pool._max_workers)], 10)
    gc.collect()


def let_go_until(holds: Callable[[], bool]) -> bool:
    """The same until something holds: on a busy machine a thread of LiteLLM's own may be the last to let go."""
    for _ in range(100):
        let_go()
        if holds():
            return True
    return False
