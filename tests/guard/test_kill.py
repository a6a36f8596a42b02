"""kill -9 between any two steps of a call: the ledger counts at least what the server saw, and holds free themselves."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runguard_core.ledger import CallFilter, CallState
from runguard_core.prices import PriceBook
from runguard_core.stores import SqliteStore
from runguard_core.testing import FakeProvider, Reply
from runguard_core.usage import Usage

STEPS = {
    "before_reserve": None, "in_reserve": None, "after_reserve": CallState.ASSUMED, "after_send": CallState.ASSUMED,
    "after_answer": CallState.ASSUMED, "in_post": CallState.ASSUMED, "after_post": CallState.POSTED, "never": CallState.POSTED,
}  # fmt: skip


@pytest.mark.parametrize("step", list(STEPS))
def test_a_kill_at_any_step_loses_nothing(step: str, tmp_path: Path) -> None:
    """A real process, a real SIGKILL; another process finds the book in order and nothing held for ever."""
    path = str(tmp_path / "ledger.db")
    with FakeProvider([Reply(input_tokens=110, output_tokens=40)]) as provider:
        command = [sys.executable, str(Path(__file__).with_name("killed.py")), step, f"sqlite:///{path}", provider.openai_url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == (0 if step == "never" else -signal.SIGKILL), done.stderr
        sent = provider.request_count
    store = SqliteStore(path)
    now = datetime.now(UTC)
    seen = PriceBook().rates("gpt-4o-mini", None, now).charge(Usage(input_tokens=110, output_tokens=40)) * sent
    assert store.verify() == ()
    store.expire(now + timedelta(seconds=61))
    calls = store.calls(CallFilter())
    assert sum(call.cost_nanos for call in calls) >= seen
    assert [call.state for call in calls] == ([STEPS[step]] if STEPS[step] else [])
    assert all(row.balance.pending == 0 for row in store.accounts())
    assert store.verify() == ()
    store.close()
