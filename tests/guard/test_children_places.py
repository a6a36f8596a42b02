"""Whose a call is around a sub-agent's block: sessions inside it, tools around it and in it, an adapter's end of a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from runguard_core import ToolCall
from runguard_core.calls import CallKind
from runguard_core.ledger import CallFilter

from .children import posted
from .spending import CENT, spend


def test_a_session_opened_inside_a_child_is_the_childs_work(make_guard: Any) -> None:
    """Code of the sub-agent that opens its own session does not leave its part."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent, parent.child("0.02 USD"):
        with guard.session("inner"):
            assert spend(guard, 9) == 2
        assert parent.spent_usd == Decimal(0), "its calls carry their own session"
    assert posted(guard, "session s") == (2, 0)


def test_a_child_inside_a_tool_of_the_parent_has_its_own_run(make_guard: Any) -> None:
    """Calls in a tool are the tool's; a sub-agent opened there is further in, and its own tools further still."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with (
        guard.session("s") as parent,
        guard.reserve(ToolCall(name="ask"), guard.attribution(agent="boss", instance="b-1")) as tool,
    ):
        with parent.child("0.02 USD", name="helper") as child:
            assert guard.attribution(run="framework's").run == child.run
            assert child.attribution.instance is None
            with guard.reserve(ToolCall(name="look", arguments={"q": 2})) as inner:
                assert guard.attribution(run="framework's").run == child.run
                inner.post(result="x")
            assert spend(guard, 9) == 2
        assert guard.attribution().run == parent.attribution.run
        tool.post(result="y")
    (entry,) = [call for call in guard.store.calls(CallFilter()) if call.kind is CallKind.CHILD]
    assert (entry.name, entry.attribution.run, entry.attribution.agent) == ("helper", parent.attribution.run, "boss")
    assert {call.attribution.agent for call in child.calls()} == {"helper"}


def test_an_adapters_end_of_a_run_does_not_end_the_child(make_guard: Any) -> None:
    """Two agents may be called inside one block: they share its part."""
    guard = make_guard(max_cost_per_session_usd="0.10", prices=CENT)
    with guard.session("s") as parent, parent.child("0.03 USD") as child:
        spend(guard, 1)
        guard.end_run(child.attribution)
        with guard.session("inner"):
            pass
        assert spend(guard, 9) == 2
        assert [call.attribution.turn for call in child.calls()] == [1, 2, 3], "one run"
    assert guard._engine.runs.known(child.run) is None
