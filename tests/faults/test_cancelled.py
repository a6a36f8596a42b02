"""Two thousand tasks of which half are cancelled anywhere: the ledger counts at least what was billed, and nothing stays open."""

from __future__ import annotations

import asyncio
import random
from contextlib import nullcontext
from pathlib import Path

import pytest

from runguard_core import Guard
from runguard_core.ledger import CallFilter, CallState
from tests.faults.opening import FILES, opened, url_of
from tests.guard.spending import CENT, ONE

TASKS = 2000


@pytest.mark.parametrize("kind", ["memory", *FILES])
async def test_cancelled_tasks_leave_nothing_open(tmp_path: Path, kind: str) -> None:
    """Billed is what was sent: a task cancelled behind that point is charged at its quote, whatever it was told before."""
    chance = random.Random(4)
    guard = Guard(app="x", store=opened(url_of(kind, tmp_path / "l.db")), prices=CENT, daily_budget_usd=10_000)
    sent = 0

    async def one(steps: int) -> None:
        nonlocal sent
        await asyncio.sleep(0)
        async with guard.session(f"s{steps}") if steps % 2 else nullcontext():
            with guard.model_call("cent", max_output_tokens=1) as call:
                sent += 1
                for _ in range(steps):
                    await asyncio.sleep(0)
                call.post(ONE)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(one(chance.randrange(8))) for _ in range(TASKS)]
    while not all(task.done() for task in tasks):
        for task in chance.sample(tasks, 150):
            if chance.random() < 0.5:
                task.cancel()
        await asyncio.sleep(0)
    cancelled = sum(task.cancelled() for task in tasks)
    assert 200 < cancelled < TASKS
    calls = guard.store.calls(CallFilter())
    assert len(calls) == sent > cancelled / 2
    assert {call.state for call in calls} == {CallState.POSTED}
    assert sum(call.cost_nanos for call in calls) == sent * 10**7
    ends = [call.settlement.certainty.value for call in calls if call.settlement]
    assert ends.count("estimated") > 100
    assert guard.store.verify() == ()
    assert not guard._engine.pending
    guard.close()
