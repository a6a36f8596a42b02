"""Many recordings under several policies, spread over workers."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from runguard_core.policy import load_policy
from runguard_core.replay import _many, play_each

from .recorded import run, tool


def test_who_is_interrupted_does_not_wait_for_what_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the workers with the piece they are at; threads stand for processes here, which take a second to start."""
    begun, go_on, play_piece = [], threading.Semaphore(3), _many._play_piece

    def counted(*piece: Any) -> Any:
        begun.append(go_on.acquire(timeout=30))
        return play_piece(*piece)

    def threads(workers: int, **_: Any) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(workers)

    monkeypatch.setattr(_many, "_WORTH_PROCESSES", 0)
    monkeypatch.setattr(_many, "_CHUNK", 1)
    monkeypatch.setattr(_many, "_play_piece", counted)
    monkeypatch.setattr(_many, "ProcessPoolExecutor", threads)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    runs = [run(tool("f", {"q": 1}, "page"))] * 100
    with closing(play_each(runs, [load_policy(environ={}).rules] * 4)) as pieces:
        assert next(pieces)[0] == 0
        threading.Timer(0.1, go_on.release, [400]).start()
    assert len(begun) < 50
