"""A sub-agent's LiteLLM calls in `with session.child(...)` spend its part, sync and async, direct and through a router."""

from __future__ import annotations

import asyncio
from typing import Any

import litellm
import pytest

from runguard_core import Budget, StoppedError
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls
from tests.integrations.litellm.conftest import openai, run
from tests.integrations.litellm.test_gate import Guarded, router


def test_calls_inside_the_block_spend_the_part_and_outside_the_parents_rest(guarded: Guarded, serve: Serve) -> None:
    """Over the part nothing is sent; the parent goes on."""
    provider, guard = serve(), guarded(budgets=[Budget("4 calls", per="session")])
    with guard.session("s") as session:
        with session.child("2 calls", name="helper") as child:
            litellm.completion(**openai(provider))
            router(provider).completion(model="chat", messages=[{"role": "user", "content": "hi"}])
            with pytest.raises(StoppedError, match="sub-agent helper"):
                litellm.completion(**openai(provider))
        for _ in range(2):
            litellm.completion(**openai(provider))
        with pytest.raises(StoppedError, match="session s"):
            litellm.completion(**openai(provider))
    assert provider.request_count == 4
    assert [call.attribution.run == child.run for call in calls(guard)] == [True, True, False, False]
    assert {call.attribution.agent for call in child.calls()} == {"helper"}


def test_parallel_sub_agents_in_one_loop_do_not_mix(guarded: Guarded, serve: Serve) -> None:
    """Tasks with a part each."""
    provider, guard = serve(), guarded(budgets=[Budget("9 calls", per="session")])

    async def work(session: Any, most: int) -> int:
        async with session.child(f"{most} calls", name=f"c{most}") as child:
            with pytest.raises(StoppedError):
                for _ in range(9):
                    await litellm.acompletion(**openai(provider))
        return len(child.calls())

    async def main() -> list[int]:
        async with guard.session("s") as session:
            return await asyncio.gather(*[work(session, most) for most in (1, 2, 3)])

    assert run(main()) == [1, 2, 3]
