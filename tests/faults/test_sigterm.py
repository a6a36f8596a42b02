"""SIGTERM in the middle of a call: the process ends within a bound, and the ledger is in order at once or after the hold's time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runguard_core.ledger import CallFilter
from tests.faults.opening import FILES, opened, url_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(("how", "code"), [("prepared", 0), ("stuck", 0), ("unprepared", -signal.SIGTERM)])
def test_a_terminated_program_leaves_an_orderly_ledger(tmp_path: Path, kind: str, how: str, code: int) -> None:
    """A handler that exits settles the call in flight; a listener that hangs is given up; without a handler the hold expires."""
    url = url_of(kind, tmp_path / "l.db")
    program = [sys.executable, "-m", "tests.faults.terminated", url, how]
    process = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in flight\n"
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert time.monotonic() - started < 5
    store = opened(url)
    states = [call.state.value for call in store.calls(CallFilter())]
    # of a dead owner of leases everybody knows at once that it is dead; a plain hold waits for its time
    left = "posted" if how != "unprepared" else "pending" if kind == "sqlite" else "assumed"
    assert states == ["posted"] * 20 + [left]
    store.expire(datetime.now(UTC) + timedelta(seconds=61))
    calls = store.calls(CallFilter())
    assert [call.cost_nanos for call in calls] == [10**7] * 21
    assert calls[-1].settlement is not None
    assert calls[-1].settlement.certainty.value == ("estimated" if how != "unprepared" else "assumed")
    assert [(row.balance.pending, row.balance.leased) for row in store.accounts()] == [(0, 0)]
    assert store.verify() == ()
    store.close()
