"""Sub-agents on every kind of ledger, between processes that share it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runguard_core import Guard, RefusedError
from runguard_core.budgets import Mode
from runguard_core.calls import CallKind
from runguard_core.guard import AnomalyRules
from runguard_core.ledger import CallFilter, CallState

from .children import may, posted
from .clock import FakeClock
from .shared_stores import KINDS, LEASES, opened, shared_url
from .spending import CENT, spend


@pytest.fixture(params=[*KINDS, LEASES])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger of each kind that processes can share."""
    return shared_url(request.param, tmp_path, request)


def test_parts_hold_against_everybody_on_the_ledger_and_what_is_left_returns(url: str) -> None:
    """Two guards, as two processes have them: a day's budget, nested and parallel sub-agents."""
    settings: dict[str, Any] = {"app": "t", "daily_budget_usd": "0.20", "prices": CENT}
    with Guard(store=opened(url), **settings) as guard, Guard(store=opened(url), **settings) as other:
        other_session = other.session("elsewhere")

        def work(parent: Any, cents: int) -> int:
            with parent.child(f"0.0{cents} USD", name=f"c{cents}"):
                return spend(guard, 9)

        with guard.session("s") as parent, parent.child("0.15 USD", name="boss") as boss:
            assert sum(may(other_session) for _ in range(9)) == 5
            with ThreadPoolExecutor(3) as pool:
                futures = [pool.submit(copy_context().run, work, boss, cents) for cents in (1, 2, 3)]
                assert [future.result() for future in futures] == [1, 2, 3]
            assert (boss.spent_usd, boss.available_usd) == (Decimal("0.06"), Decimal("0.09"))
            with pytest.raises(RefusedError), parent.child("0.01 USD"):
                pytest.fail("the rest is elsewhere's, and the boss's")
        (day,) = [row.account.title for row in guard.store.accounts() if "day" in row.account.title]
        assert posted(guard, day) == (11, 0)
        assert spend(other, 20) == 9
        found = guard.store.calls(CallFilter())
        assert [call.kind for call in found].count(CallKind.CHILD) == 4
        assert {call.state for call in found} == {CallState.POSTED}
        assert sum(call.cost_nanos for call in found) == 20 * 10**7
        assert guard.store.verify() == ()


def test_the_part_of_a_process_that_was_killed_is_corrected_by_the_heartbeat_of_another(url: str) -> None:
    """kill -9; what the sub-agent had spent stays, the rest of its part returns."""
    command = [sys.executable, "-m", "tests.guard.orphaned", url]
    clock = FakeClock(datetime.now(UTC))
    settings: dict[str, Any] = {"prices": CENT, "anomalies": AnomalyRules(mode=Mode.OFF)}  # it looks by itself
    with Guard(app="t", store=opened(url), daily_budget_usd="0.20", hold_seconds=600, clock=clock, **settings) as guard:
        killed = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        assert killed.stdout is not None
        assert killed.stdout.readline() == "ready\n"
        guard._engine.renew()
        killed.kill()
        killed.communicate()
        clock.advance(seconds=700)  # the other program has a clock of its own, which began later
        spend(guard, 1)  # whose reserve may be what lets it expire
        guard._engine.renew()
        (part,) = [call for call in guard.store.calls(CallFilter()) if call.kind is CallKind.CHILD]
        assert part.state is CallState.POSTED
        (day,) = [row.account.title for row in guard.store.accounts() if "day" in row.account.title]
        assert posted(guard, day) == (3, 0)
        assert guard.store.verify() == ()
