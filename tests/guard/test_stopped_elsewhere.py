"""A kill or a trip in one process stops all others on the ledger, within a bound, without a round trip per call."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runguard_core import Guard, ToolCall, TrippedError

from .shared_stores import KINDS, shared_url

#: What is promised is a quarter of a second and one read; a shared machine may keep a process from running for longer.
BOUND_SECONDS = 5.0
Started = Callable[[str], list[subprocess.Popen[str]]]
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger of each kind that processes can share."""
    return shared_url(request.param, tmp_path, request)


@pytest.fixture
def programs() -> Iterator[Started]:
    """Start three that make calls; all have made one when this returns."""
    running: list[subprocess.Popen[str]] = []

    def start(url: str) -> list[subprocess.Popen[str]]:
        for _ in range(3):
            command = [sys.executable, "-m", "tests.guard.elsewhere", url, "0.002"]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT))
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        return running

    yield start
    for one in running:
        one.kill()
        one.communicate()


def stops_of(running: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """What each said when it was stopped."""
    return [json.loads(one.communicate(timeout=60)[0]) for one in running]


def check(stops: list[dict[str, Any]], since_ns: int, rule: str, text: str) -> None:
    """All were stopped by that rule, soon."""
    assert [stop["rule"] for stop in stops] == [rule] * 3
    assert all(text in stop["text"] for stop in stops)
    assert max(stop["at_ns"] for stop in stops) - since_ns < BOUND_SECONDS * 1e9


def test_a_kill_in_one_process_stops_all_others(url: str, programs: Started) -> None:
    """By the guard of another process."""
    running = programs(url)
    with Guard(app="fleet", store=url) as guard:
        since = time.monotonic_ns()
        guard.kill("app", reason="runaway", by="ann")
        check(stops_of(running), since, "kill", "runaway")
        assert guard.store.verify() == ()


@pytest.mark.parametrize("scope", ["agent:planner", "feature:search", "session:s-42"])
def test_a_person_stops_and_lets_go_by_the_command_line(url: str, programs: Started, scope: str) -> None:
    """From any machine that reaches the ledger."""
    running = programs(url)
    command = [
        sys.executable,
        "-m",
        "runguard_core.cli",
        "kill",
        scope,
        "--reason",
        "ticket 7",
        "--store",
        url,
        "--app",
        "fleet",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=True)
    since = time.monotonic_ns()  # the kill was a moment ago: starting an interpreter is no part of it
    check(stops_of(running), since, "kill", "ticket 7")
    undo = json.loads(done.stdout)["undo"]
    assert undo.startswith(f'runguard reset {scope} --reason "..." --store ')
    with Guard(app="fleet", store=url) as guard:
        assert guard.reset(scope, reason="mended")
        assert dict(guard.store.latches()) == {}


def test_a_trip_in_one_process_stops_the_same_run_in_all_others(url: str, programs: Started) -> None:
    """A run that works in several processes (a queue's workers) is one run."""
    running = programs(url)
    with Guard(app="fleet", store=url) as guard:
        who = guard.attribution(session="s-42", run="r-1", agent="reader")
        with pytest.raises(TrippedError):
            for _ in range(9):
                guard.reserve(ToolCall(name="search", arguments={"q": "x"}), who).post(result="nothing")
        since = time.monotonic_ns()
        check(stops_of(running), since, "repeat", "search")
