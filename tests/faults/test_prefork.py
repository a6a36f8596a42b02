"""A guard made before a web server forks its workers: every worker spends for itself, together they keep the cap."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from runguard_core.ledger import CallFilter, CallState
from runguard_core.money import NANOS_PER_USD
from tests.faults.opening import FILES, opened, url_of

ROOT = Path(__file__).parents[2]
CENT_NANOS = NANOS_PER_USD // 100


@contextmanager
def gunicorn(url: str, cap_usd: str) -> Iterator[int]:
    """A real server with four workers and the application loaded before the fork; its port."""
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--preload",
        "--workers=4",
        "--bind=127.0.0.1:0",
        "tests.faults.served:application",
    ]
    env = {**os.environ, "STORE": url, "CAP_USD": cap_usd}
    server = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    said = []
    try:
        for line in server.stderr:
            said.append(line)
            if found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", line):
                yield int(found[1])
                break
        else:
            pytest.fail("".join(said))
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert server.returncode == 0


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and worker of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


@pytest.mark.parametrize("kind", FILES)
def test_four_workers_of_gunicorn_keep_one_cap(tmp_path: Path, kind: str) -> None:
    """160 requests against 100 cents, of which the parent spent three before the fork: 97 pass, and the ledger knows each.

    With leases the parent holds a slice when it forks: no worker may spend of it, and it is handed back when the parent ends.
    """
    url = url_of(kind, tmp_path / "l.db")
    with gunicorn(url, "1.00") as port, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda at: ask(port, f"/{at}"), range(160)))
    passed = [worker for status, worker in answers if status == 200]
    assert {status for status, _ in answers} == {200, 402}
    assert len({worker for _, worker in answers}) > 1
    store = opened(url)
    calls = store.calls(CallFilter(app="served"))
    # usable to the last cent; with leases but for what the parent, which serves nobody, has not handed back yet
    assert (97 if kind == "sqlite" else 80) <= len(passed) <= 97
    assert sum(call.cost_nanos for call in calls) == (len(passed) + 3) * CENT_NANOS
    assert {call.state for call in calls} == {CallState.POSTED}
    (day,) = [row.balance for row in store.accounts()]
    assert (day.posted, day.pending, day.leased) == ((len(passed) + 3) * CENT_NANOS, 0, 0)
    assert store.verify() == ()
    store.close()
