"""Who answers for what the ledger has seen: what nobody owns comes first, and what production lacks is named."""

from __future__ import annotations

from datetime import timedelta

from runguard_core.finops.owners import Duty, OwnerFrom, Registry, Team, agent_tokens, roster
from runguard_core.finops.owners._roster import roster_of
from runguard_core.ledger import CallFilter, Store, Total
from tests.finops.conftest import SHOP, START, WEEKS

END = START + timedelta(weeks=WEEKS)
REGISTRY = Registry(
    features={
        "search": Duty(owner="cleo", is_production=True),
        "code-review": Duty(owner="ben", deputy="ana", runbook="https://example.com/r", is_production=True),
        "voice": Duty(owner="care", deputy="ana", is_production=True),
    },
    teams={"care": Team(name="care", lead="lou")},
)


def test_what_nobody_owns_comes_first_and_every_dollar_is_in_one_row(shop: Store) -> None:
    """Ticket triage names no owner, anywhere."""
    found = roster(shop, SHOP, REGISTRY, START, END)
    assert (found.rows[0].feature, found.rows[0].owner_from) == ("ticket-triage", OwnerFrom.NOBODY)
    assert [row.feature for row in found.rows if row.owner_from is OwnerFrom.POLICY] == ["code-review", "search", "voice"]
    spent = shop.totals((), CallFilter(app=SHOP))[()].cost_nanos
    assert sum(row.total.cost_nanos for row in found.rows) == spent > 0


def test_production_needs_an_owner_who_is_a_person_a_deputy_and_a_runbook(shop: Store) -> None:
    """Also where the feature has not been seen yet."""
    problems = {row.feature: row.lacks for row in roster(shop, SHOP, REGISTRY, START, END).problems}
    assert problems == {"search": ("deputy", "runbook"), "voice": ("runbook", "owner is a team")}


def test_words_of_the_ledger_that_the_policy_does_not_know_are_listed(shop: Store) -> None:
    """Of dimensions that the policy names at all: it has no agents."""
    unknown = roster(shop, SHOP, REGISTRY, START, END).unknown
    assert unknown["team"] == ("discovery", "growth", "insights", "platform")
    assert "ticket-triage" in unknown["feature"]
    assert "search" not in unknown["feature"]
    assert "agent" not in unknown


def test_the_owner_of_the_app_answers_for_what_names_none() -> None:
    """And is told apart from one that the calls name, and from one that only repeats the app's."""
    registry = Registry(default=Duty(owner="boss"))
    totals = {("a", None, None, None): Total(cost_nanos=3), ("b", None, None, "dan"): Total(cost_nanos=2),
              ("c", None, None, "boss"): Total(cost_nanos=1)}  # fmt: skip
    rows = roster_of(totals, registry).rows
    assert [(row.feature, row.duty.owner, row.owner_from) for row in rows] == [
        ("a", "boss", OwnerFrom.APP), ("b", "dan", OwnerFrom.CALLS), ("c", "boss", OwnerFrom.APP),
    ]  # fmt: skip


def test_tokens_of_agents_are_those_of_their_calls(shop: Store) -> None:
    """Prompt by the mean of calls, sessions by median: recomputed call by call."""
    row = next(one for one in agent_tokens(shop, SHOP, START, END) if one.agent == "reviewer")
    usages = [
        (call.attribution.session, call.settlement.usage)
        for call in shop.calls(CallFilter(app=SHOP, agent="reviewer"))
        if call.settlement is not None and call.settlement.usage is not None
    ]
    assert row.call_count == len(usages)
    assert row.prompt_tokens == round(sum(usage.input_tokens for _, usage in usages) / len(usages))
    sessions: dict[str | None, int] = {}
    for session, usage in usages:
        sessions[session] = sessions.get(session, 0) + usage.total_tokens
    assert row.session_count == len(sessions)
    assert row.session_tokens == sorted(sessions.values())[(len(sessions) - 1) // 2]
    assert 0 < row.cached_ratio < 1
