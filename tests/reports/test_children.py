"""Sub-agents in reports: under their parent, every dollar once, their parts never counted as calls."""

from __future__ import annotations

import io
from datetime import UTC, timedelta
from typing import Any

from rich.console import Console

from runguard_core import CallFilter, EventFilter, Guard
from runguard_core.anomalies import spent_of
from runguard_core.cli import _render as render
from runguard_core.replay import recordings_of
from runguard_core.reports import dead_tails, explain, explained_json, session_json, sessions, spending, total
from tests.guard.spending import CENT, spend

CENTS = 10**7


def told(make_guard: Any) -> Guard:
    """Two cents of the session's own, three of a sub-agent, two of that one's, which is stopped by its part."""
    guard: Guard = make_guard(max_cost_per_session_usd="0.20", prices=CENT)
    with guard.session("s", agent="planner") as parent:
        spend(guard, 2)
        with parent.child("0.05 USD", name="researcher") as child:
            spend(guard, 3)
            with child.child("0.02 USD", name="reader"):
                spend(guard, 9)
    return guard


def test_every_dollar_is_counted_once(make_guard: Any) -> None:
    """By any dimension; parts are in none."""
    guard = told(make_guard)
    calls = guard.store.calls(CallFilter())
    whole = total(calls)
    assert (whole.nanos, whole.pending_nanos, whole.call_count, whole.tool_count) == (7 * CENTS, 0, 7, 0)
    assert {row.key: row.nanos // CENTS for row in spending(calls, "agent", UTC)} == {"planner": 2, "researcher": 3, "reader": 2}
    assert [(row.key, row.call_count) for row in spending(calls, "kind", UTC)] == [("model", 7)]
    assert [spent.nanos for spent in map(spent_of, calls) if spent is not None] == [CENTS] * 7
    assert dead_tails(calls) == {}
    sums = guard.store.totals(("agent",), CallFilter())
    assert {key[0]: (one.call_count, one.tool_count, one.cost_nanos) for key, one in sums.items()} == {
        "planner": (2, 0, 2 * CENTS), "researcher": (3, 0, 3 * CENTS), "reader": (2, 0, 2 * CENTS),
    }  # fmt: skip
    assert [len(recording.events) for recording in recordings_of(calls)] == [2, 3, 2]


def test_a_session_counts_its_sub_agents_and_is_not_stopped_by_them(make_guard: Any) -> None:
    """Their latches are of their own runs."""
    guard = told(make_guard)
    calls, latches = guard.store.calls(CallFilter()), guard.store.latches().values()
    assert [latch.rule for latch in latches] == ["budget"]
    (row,) = sessions(calls, latches, calls[-1].started_at, timedelta(hours=1))
    assert (row.child_count, row.turn_count, row.state, row.spend.nanos) == (2, 7, "finished", 7 * CENTS)
    assert session_json(row)["child_count"] == 2


def test_runs_of_sub_agents_hang_under_the_run_they_were_opened_in(make_guard: Any) -> None:
    """With their parts."""
    guard = told(make_guard)
    found = explain("s", guard.store.calls(CallFilter(session="s")), guard.store.events(EventFilter(session="s")))
    own, researcher, reader = found.runs
    assert (own.child, own.parent, own.below_nanos) == (None, None, 5 * CENTS)
    assert (researcher.child, researcher.parent, researcher.limit, researcher.nanos) == (
        "researcher",
        own.id,
        "0.05 USD",
        3 * CENTS,
    )
    assert (reader.parent, reader.limit) == (researcher.id, "0.02 USD")
    assert [run["parent"] for run in explained_json(found)["runs"]] == [None, own.id, researcher.id]
    page = io.StringIO()
    render.print_explained(Console(file=page, width=100), found)
    lines = [line.strip(" │├└─") for line in page.getvalue().splitlines()]
    assert f"run {own.id}  $0.02 and $0.05 by its sub-agents" in lines
    assert "sub-agent researcher  $0.03 and $0.02 by its sub-agents, of 0.05 USD" in lines
    assert lines.count("sub-agent reader  $0.02, of 0.02 USD") == 1
