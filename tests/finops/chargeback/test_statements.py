"""Statements add up to the spend, whatever the teams, the rules and the amounts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from runguard_core.finops.chargeback import (
    UNATTRIBUTED_PARTY,
    ChargingRules,
    LineKind,
    Method,
    Party,
    PartyKind,
    ResidualRule,
    Shared,
    SpendRow,
    Statement,
    ratios,
    read_rows,
    rules_json,
    rules_of,
    statements_of,
)
from runguard_core.money import split
from runguard_core.stores import open_store
from tests.finops.chargeback.ledger import spent

TEAMS = ("care", "growth", "platform")
FEATURES = ("chat", "gateway", "review", "search")
AMOUNTS = st.one_of(st.integers(0, 9), st.integers(0, 10**15), st.just(0))
rows = st.lists(
    st.builds(
        SpendRow, app=st.sampled_from(("shop", "lab")), feature=st.none() | st.sampled_from(FEATURES),
        team=st.none() | st.sampled_from(TEAMS), agent=st.none() | st.sampled_from(("planner", "writer")), nanos=AMOUNTS,
        call_count=st.integers(0, 50), token_count=st.integers(0, 10**7),
    ),
    max_size=25,
)  # fmt: skip
shared_things = st.lists(
    st.builds(
        Shared, st.sampled_from(("one", "two", "three")),
        st.sampled_from(((("feature", "gateway"),), (("agent", "writer"),), (("app", "lab"), ("feature", "search")))),
        st.sampled_from(Method),
    ),
    max_size=3, unique_by=lambda it: it.name,
)  # fmt: skip
rules = st.builds(
    ChargingRules, residual=st.sampled_from(ResidualRule),
    untagged_teams=st.lists(st.sampled_from((*TEAMS, "ghosts")), max_size=2, unique=True).map(tuple),
    shared=shared_things.map(tuple), teams=st.lists(st.sampled_from((*TEAMS, "silent")), max_size=3, unique=True).map(tuple),
    feature_teams=st.dictionaries(st.sampled_from((*FEATURES, "lab")), st.sampled_from(TEAMS), max_size=2),
    agent_teams=st.dictionaries(st.sampled_from(("planner", "writer")), st.sampled_from(TEAMS), max_size=1),
    required=st.sampled_from(((), ("feature",), ("feature", "agent"))),
)  # fmt: skip


def by_title(statements: tuple[Statement, ...]) -> dict[str, int]:
    """Amounts by who bears them."""
    return {it.party.title: it.nanos for it in statements}


@given(rows=rows, rules=rules)
def test_statements_add_up_to_the_spend_to_the_nano_usd(rows: list[SpendRow], rules: ChargingRules) -> None:
    """And no part strays a nano-USD from its exact share; the ratios of each cost's parts sum to exactly 1."""
    found = statements_of(rows, rules)
    assert sum(it.nanos for it in found) == sum(row.nanos for row in rows)
    assert [it.party for it in found] == sorted({it.party for it in found}, key=lambda party: party.place)
    cut: dict[tuple[LineKind, str], list[tuple[int, int, Decimal]]] = {}
    for line in (line for it in found for line in it.lines if line.basis is not None):
        assert line.basis is not None
        cut.setdefault((line.kind, line.name), []).append((line.nanos, line.basis.quantity, line.basis.ratio))
    for parts in cut.values():
        nanos, weight = sum(part[0] for part in parts), sum(part[1] for part in parts)
        assert sum(part[2] for part in parts) == 1
        assert all(abs(part[0] - Fraction(nanos * part[1], weight)) < 1 for part in parts)


@given(rows=rows, rules=rules, seed=st.integers())
def test_statements_do_not_depend_on_the_order_of_rows(rows: list[SpendRow], rules: ChargingRules, seed: int) -> None:
    """Worked out again they are the same, line by line; the rules survive being kept as JSON."""
    shuffled = Random(seed).sample(rows, len(rows))
    assert statements_of(shuffled, rules_of(rules_json(rules))) == statements_of(rows, rules)


@given(nanos=st.integers(-(10**18), 10**18), weights=st.lists(st.integers(0, 10**12), min_size=1, max_size=9).filter(any))
def test_a_split_loses_nothing(nanos: int, weights: list[int]) -> None:
    """Of what is owed and of what is owing; who has no weight has no part."""
    parts = split(nanos, weights)
    assert sum(parts) == nanos
    assert all(abs(part - Fraction(nanos * weight, sum(weights))) < 1 for part, weight in zip(parts, weights, strict=True))
    assert split(-nanos, weights) == [-part for part in parts]
    assert [weight for weight, part in zip(weights, parts, strict=True) if not weight and part] == []
    assert sum(ratios(weights)) == 1


def test_the_largest_remainder_gets_what_is_left_over() -> None:
    """10 by 1:1:1 is 4, 3, 3; by 5:3:2 of 9 it is 5, 3, 2 less the smallest remainder."""
    assert split(10, [1, 1, 1]) == [4, 3, 3]
    assert split(9, [5, 3, 2]) == [4, 3, 2]  # 4.5, 2.7, 1.8


def test_nothing_spent_is_no_statement_and_a_team_alone_bears_all() -> None:
    """The two ends."""
    assert statements_of([], ChargingRules()) == ()
    assert by_title(statements_of([SpendRow(app="shop", team="care", nanos=7)], ChargingRules())) == {"care": 7}


def test_without_a_team_that_does_not_tag_the_residual_stays_a_row() -> None:
    """It is neither dropped nor charged to those who tag."""
    tagged, nobody = SpendRow(app="shop", team="care", nanos=70), SpendRow(app="shop", nanos=30)
    assert by_title(statements_of([tagged, nobody], ChargingRules(teams=("care",)))) == {"care": 70, "unattributed": 30}
    assert by_title(statements_of([nobody], ChargingRules())) == {"unattributed": 30}


def test_the_residual_is_charged_to_the_team_that_does_not_tag() -> None:
    """One that only the policy knows pays for all of it; one whose calls carry its name pays nothing."""
    found = [SpendRow(app="shop", team="care", nanos=70), SpendRow(app="shop", nanos=30)]
    charged = statements_of(found, ChargingRules(teams=("care", "growth")))
    assert by_title(charged) == {"care": 70, "growth": 30, "unattributed": 0}
    assert [(line.kind, line.nanos) for line in charged[-1].lines] == [(LineKind.DIRECT, 30), (LineKind.RESIDUAL, -30)]


def test_several_that_do_not_tag_share_the_residual_by_the_rule() -> None:
    """By what each is known to have spent untagged, equally, by spend, or not at all; those who tag in full pay none of it."""
    found = [
        SpendRow(app="shop", feature="chat", nanos=10),  # care's by the policy only
        SpendRow(app="shop", feature="chat", team="care", nanos=50),
        SpendRow(app="shop", feature="search", nanos=30),  # growth's by the policy only
        SpendRow(app="shop", feature="review", team="platform", nanos=500),
        SpendRow(app="shop", feature="lost", nanos=80),
    ]
    whose = ChargingRules(feature_teams={"chat": "care", "search": "growth"})
    shares = {
        ResidualRule.UNTAGGED: {"care": 60 + 20, "growth": 30 + 60, "unattributed": 0},
        ResidualRule.EQUAL: {"care": 60 + 40, "growth": 30 + 40, "unattributed": 0},
        ResidualRule.SPEND: {"care": 60 + 53, "growth": 30 + 27, "unattributed": 0},
        ResidualRule.KEEP: {"care": 60, "growth": 30, "unattributed": 80},
    }
    for residual, wanted in shares.items():
        assert by_title(statements_of(found, replace(whose, residual=residual))) == wanted | {"platform": 500}
    named = replace(whose, untagged_teams=("platform",))
    assert by_title(statements_of(found, named))["platform"] == 580


def test_a_call_that_lacks_what_the_policy_requires_is_not_tagged() -> None:
    """Its team pays for the residual although it is named."""
    found = [
        SpendRow(app="shop", team="care", nanos=5), SpendRow(app="shop", feature="chat", team="growth", nanos=5),
        SpendRow(app="shop", nanos=8),
    ]  # fmt: skip
    assert by_title(statements_of(found, ChargingRules(required=("feature",)))) == {"care": 13, "growth": 5, "unattributed": 0}


def test_a_shared_thing_is_paid_by_use_or_is_overhead() -> None:
    """By calls, tokens or cost of each team; what nobody is named for takes its part too; its own team pays no more than others."""
    found = [
        SpendRow(app="shop", feature="gateway", team="platform", nanos=100, call_count=9, token_count=9),
        SpendRow(app="shop", feature="chat", team="care", nanos=60, call_count=3, token_count=100),
        SpendRow(app="shop", feature="review", team="growth", nanos=20, call_count=1, token_count=300),
        SpendRow(app="shop", feature="lost", nanos=20, call_count=4, token_count=0),
    ]  # fmt: skip
    wanted = {
        Method.CALLS: {"care": 98, "growth": 32, "unattributed": 70},  # 37.5, 12.5, 50
        Method.TOKENS: {"care": 85, "growth": 95, "unattributed": 20},
        Method.COST: {"care": 120, "growth": 40, "unattributed": 40},
        Method.OVERHEAD: {"care": 60, "growth": 20, "unattributed": 20, "overhead: gateway": 100},
        Method.DIRECT: {"care": 60, "growth": 20, "unattributed": 20, "platform": 100},
    }
    for method, amounts in wanted.items():
        shared = Shared("gateway", (("feature", "gateway"),), method)
        assert by_title(statements_of(found, ChargingRules(shared=(shared,), residual=ResidualRule.KEEP))) == amounts


def test_a_shared_thing_that_nobody_used_is_overhead() -> None:
    """There is nobody to charge; it is not lost."""
    shared = Shared("gateway", (("feature", "gateway"),), Method.TOKENS)
    found = [
        SpendRow(app="shop", feature="gateway", team="care", nanos=5, token_count=7),
        SpendRow(app="shop", team="care", nanos=1),
    ]
    assert by_title(statements_of(found, ChargingRules(shared=(shared,)))) == {"care": 1, "overhead: gateway": 5}


def test_calls_say_whose_they_are_before_the_policy_does() -> None:
    """Then the agent's team, then the feature's; the app stands in for a feature."""
    whose = ChargingRules(feature_teams={"chat": "care", "shop": "growth"}, agent_teams={"planner": "platform"})
    rows = [
        SpendRow(app="shop", feature="chat", agent="planner", team="care", nanos=1),
        SpendRow(app="shop", feature="chat", agent="planner", nanos=2),
        SpendRow(app="shop", feature="chat", agent="writer", nanos=4),
        SpendRow(app="shop", nanos=8),
    ]
    own = {it.party: it.nanos for it in statements_of(rows, whose)}
    assert own == {Party(PartyKind.TEAM, name): nanos for name, nanos in (("care", 5), ("growth", 8), ("platform", 2))}
    assert UNATTRIBUTED_PARTY not in own


def test_what_is_filed_as_unattributed_or_left_empty_is_nobodys() -> None:
    """A ledger writes "unattributed" for what the policy requires; a program may send an empty text."""
    store, at = open_store("memory://"), datetime(2026, 10, 5, tzinfo=UTC)
    for number, team in enumerate(("unattributed", "", None, "care")):
        spent(store, f"c{number}", at, 10, team=team, feature="search")
    rows = read_rows(store, None, at, at + timedelta(hours=1))
    assert by_title(statements_of(rows, ChargingRules())) == {"care": 10, "unattributed": 30}
