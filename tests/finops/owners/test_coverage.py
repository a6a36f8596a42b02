"""The share of spend that carries what the policy asks for."""

from __future__ import annotations

from runguard_core.finops.owners import coverage, coverage_json
from runguard_core.guard import AttributionRule
from runguard_core.ledger import CallFilter, Store
from runguard_core.stores import open_store
from tests.finops.conftest import SHOP

TEAMS = frozenset({"care", "discovery", "platform", "insights"})


def test_the_parts_are_all_of_the_spend_and_others_are_named(shop: Store) -> None:
    """Missing owners of ticket triage, a team that is not allowed; recomputed call by call."""
    rules = [AttributionRule(dimension="owner"), AttributionRule(dimension="team", allowed=TEAMS)]
    owner, team = coverage(shop, SHOP, None, None, rules)
    calls = [call for call in shop.calls(CallFilter(app=SHOP)) if call.is_paid]
    spent = sum(call.cost_nanos for call in calls)
    assert owner.total_nanos == team.total_nanos == spent
    assert owner.missing_nanos == sum(call.cost_nanos for call in calls if call.attribution.owner is None) > 0
    growth = sum(call.cost_nanos for call in calls if call.attribution.team == "growth")
    assert (team.other_nanos, team.others, team.missing_nanos) == (growth, (("growth", growth),), 0)
    assert team.covered_ratio == (spent - growth) / spent
    assert coverage_json(team)["others"] == [{"value": "growth", "cost_nanos": str(growth)}]


def test_without_rules_it_is_of_feature_and_team(shop: Store) -> None:
    """What every statement is made by."""
    assert [(one.dimension, one.covered_ratio) for one in coverage(shop, SHOP, None, None)] == [("feature", 1.0), ("team", 1.0)]


def test_where_nothing_was_spent_nothing_is_missing() -> None:
    """An empty ledger is covered."""
    store = open_store("memory://")
    assert coverage(store, None, None, None)[1].covered_ratio == 1.0
    store.close()
