"""Calls that do not say what the policy wants of them: filed, or refused before anything is set aside."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from runguard_core import CallFilter, StoppedError, ToolCall, TrippedError
from runguard_core import events as ev
from runguard_core.guard import AttributionRule, OnWrong

from .spending import CENT, kinds, spend

TEAM = AttributionRule(
    dimension="team", allowed=frozenset({"care", "growth"}), on_missing=OnWrong.REFUSE, on_other=OnWrong.REFUSE
)


def test_a_call_without_its_team_is_refused_and_told_how_to_give_it(make_guard: Any) -> None:
    """Nothing is sent or set aside; the same session goes on as soon as its calls say it."""
    guard = make_guard(attribution=(TEAM,), prices=CENT)
    with guard.session("s"):
        with pytest.raises(TrippedError, match=r'it carries no team; give it: guard.session\(..., team="..."\)') as caught:
            guard.model_call("cent", max_output_tokens=1).__enter__()
        assert (caught.value.rule, guard.store.calls(CallFilter())) == ("attribution", ())
        assert kinds(guard) == [ev.CALL_STOPPED]
    with guard.session("s", team="care"):
        assert spend(guard, 2) == 2
    assert [call.attribution.team for call in guard.store.calls(CallFilter())] == ["care", "care"]


def test_a_value_that_is_not_allowed_is_refused_with_those_that_are(make_guard: Any) -> None:
    """A tag is given in its own way."""
    guard = make_guard(attribution=(TEAM,), prices=CENT)
    with guard.session(team="sales"), pytest.raises(TrippedError, match="team is 'sales', allowed are care, growth"):
        guard.model_call("cent", max_output_tokens=1).__enter__()
    tag = AttributionRule(dimension="tag:tier", on_missing=OnWrong.REFUSE)
    other = make_guard(attribution=(tag,), prices=CENT)
    with pytest.raises(TrippedError, match=r'no tier; give it: .*tags=\{"tier": "..."\}.*"runguard_tag_tier"'):
        other.reserve(ToolCall(name="search"))
    with other.session(tags={"tier": "free"}):
        assert spend(other, 1) == 1


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_by_default_such_calls_are_filed(make_guard: Any, mode: str) -> None:
    """Missing as unattributed, another value as it came; a rule that refuses refuses nothing while it is observed."""
    rule = AttributionRule(dimension="team", allowed=frozenset({"care"})) if mode == "enforce" else TEAM
    guard = make_guard(attribution=(rule,), require=("team",), prices=CENT, mode=mode)
    for team in (None, "sales"):
        with guard.session(team=team):
            assert spend(guard, 1) == 1
    assert [call.attribution.team for call in guard.store.calls(CallFilter())] == ["unattributed", "sales"]
    assert kinds(guard) == ([] if mode == "enforce" else [ev.WOULD_TRIP] * 2)


def test_a_stop_names_the_owner_and_the_runbook(make_guard: Any) -> None:
    """Of the agent, else of the feature; in the sentence, as attributes, over a process pool too."""
    guard = make_guard(
        app="shop", max_cost_per_session_usd="0.01", prices=CENT, owners={"feature:shop": "ana", "agent:planner": "pia"},
        runbooks={"feature:shop": "https://example.com/r"},
    )  # fmt: skip
    for agent, owner in ((None, "ana"), ("planner", "pia")):
        with guard.session(f"s-{agent}", agent=agent), pytest.raises(StoppedError) as caught:
            for _ in range(2):
                with guard.model_call("cent", max_output_tokens=1) as call:
                    call.post(None)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (again.owner, again.runbook) == (owner, "https://example.com/r")
        assert str(again).endswith(f"(owner: {owner}, runbook: https://example.com/r)")
