"""Ids that a client gives: each paid call is an entry of its own, whatever id it came with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runguard_core import CallFilter, Guard, ModelCall, RefusedError, Usage

ONE = Usage(input_tokens=10, output_tokens=1)
MINI, BIG = ModelCall(model="gpt-4o-mini"), ModelCall(model="gpt-4o")


@pytest.fixture(params=["memory", "sqlite"])
def guard(request: Any, make_guard: Any, tmp_path: Path) -> Guard:
    """On either store."""
    store = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'l.db'}"
    made: Guard = make_guard(store=store, max_cost_per_session_usd="0.50")
    return made


@pytest.mark.parametrize("end", ["post", "void"])
def test_an_id_that_was_settled_admits_no_further_call_uncounted(guard: Guard, end: str) -> None:
    """A request tried again under its own id, in this process or another, is a second request."""
    who = guard.attribution(session="s", run="r")
    for _ in range(3):
        held = guard.reserve(MINI, who, call_id="theirs")
        held.post(ONE) if end == "post" else held.void()
    assert len(guard.store.calls(CallFilter())) == 3
    assert sum(call.cost_nanos for call in guard.store.calls(CallFilter())) == (3 * 2_100 if end == "post" else 0)


def test_other_calls_under_an_id_in_flight_are_other_calls(guard: Guard) -> None:
    """And no error of the ledger reaches the program."""
    who = guard.attribution(session="s", run="r")
    held = [guard.reserve(call, who, call_id="theirs") for call in (MINI, BIG)]
    assert len({one.call_id for one in held}) == 2
    for one in held:
        one.post(ONE)
    assert [call.name for call in guard.store.calls(CallFilter())] == ["gpt-4o-mini", "gpt-4o"]


def test_one_id_for_ever_meets_its_budget(make_guard: Any) -> None:
    """Ten fit, the eleventh is refused."""
    guard = make_guard(max_cost_per_session_usd="0.01", quote="bound")
    call = ModelCall(model="gpt-4o", max_output_tokens=50)
    with guard.session("s"), pytest.raises(RefusedError):
        for _ in range(1000):
            guard.reserve(call, call_id="theirs").post(Usage(input_tokens=1, output_tokens=50))
    assert 0 < sum(call.cost_nanos for call in guard.store.calls(CallFilter())) <= 10_000_000
