"""What remains of teams' budgets, what would have stopped an overrun, when to move to chargeback; and pages."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO

import pytest

from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.budgets import Budget, Mode
from runguard_core.finops import Calendar
from runguard_core.finops.actions import Saving, Spans, saving_of
from runguard_core.finops.chargeback import (
    ChargeMode,
    ChargingRules,
    Closing,
    Method,
    PeriodStatements,
    Shared,
    SpendRow,
    advice,
    csv_of,
    markdown_of,
    period_json,
    statements_of,
    team_budget,
    team_limit,
)
from runguard_core.ledger import Event

USD = 10**9
CALENDAR = Calendar()
OCTOBER = CALENDAR.month(date(2026, 10, 1))
ROWS = [
    SpendRow(app="shop", feature="search", team="care", nanos=80 * USD, call_count=4),
    SpendRow(app="shop", feature="gateway", nanos=45 * USD, call_count=9),
]
RULES = ChargingRules(mode=ChargeMode.CHARGEBACK, shared=(Shared("gateway", (("feature", "gateway"),), Method.CALLS),))
(CARE,) = statements_of(ROWS, RULES)


def refusal(kind: str, budget: str, feature: str) -> Event:
    """A call that was, or would have been, refused."""
    return ev.event(kind, ev.STOP, "x", Attribution("shop", feature=feature), OCTOBER.start, budget=budget)


def test_in_chargeback_the_statement_is_taken_off_the_teams_budget() -> None:
    """Shared parts included, also below zero; in showback nothing is taken off."""
    budgets = [Budget("200 USD", name="team-month", per=["team"], period="month")]
    limit = team_limit(CARE, ChargeMode.CHARGEBACK, budgets, Mode.ENFORCE, [])
    assert (limit.limit_nanos, limit.charged_nanos, limit.remaining_nanos) == (200 * USD, 125 * USD, 75 * USD)
    assert team_limit(CARE, ChargeMode.SHOWBACK, budgets, Mode.ENFORCE, []).remaining_nanos is None
    low = [Budget("100 USD", name="care", where={"team": "care"}, period="month"), *budgets]
    assert team_limit(CARE, ChargeMode.CHARGEBACK, low, Mode.ENFORCE, []).remaining_nanos == -25 * USD
    assert team_limit(CARE, ChargeMode.CHARGEBACK, [], Mode.ENFORCE, []).limit_nanos is None


def test_a_teams_budget_is_the_monthly_one_of_that_team() -> None:
    """Not a day's, not tokens, not another team's, not one of a feature; the one that names the team before the general one."""
    others = [
        Budget("9 USD", per=["team"], period="day"), Budget("9k tokens", per=["team"], period="month"),
        Budget("9 USD", where={"team": "growth"}, period="month"), Budget("9 USD", per=["team", "feature"], period="month"),
        Budget("9 USD", where={"team": "care", "feature": "search"}, period="month"), Budget("9 USD", period="month"),
    ]  # fmt: skip
    assert team_budget("care", others) is None
    general, own = Budget("5 USD", per=["team"], period="month"), Budget("7 USD", where={"team": "care"}, period="month")
    assert team_budget("care", [*others, general, own]) is own
    assert team_budget("growth", [general]) is general


@pytest.mark.parametrize(
    ("limit", "mode", "wanted"),
    [
        ("60 USD", "observe", "would have stopped $20.00 of it; it is in mode observe"),
        ("60 USD", "enforce", "it was raised, is newer, or was overrun in flight"),
        ("100 USD", "enforce", "no budget on its calls would have stopped it, its own calls cost $80.00"),
        ("125 USD", "enforce", ""),
    ],
)
def test_an_overrun_names_the_budget_that_would_have_stopped_it(limit: str, mode: str, wanted: str) -> None:
    """Only what a team itself calls can be stopped: parts of what is shared reach no call of it."""
    budgets = [Budget(limit, name="team-month", per=["team"], period="month", mode=mode)]
    said = team_limit(CARE, ChargeMode.CHARGEBACK, budgets, Mode.ENFORCE, []).sentence
    assert wanted in said
    assert bool(said) == bool(wanted)


def test_a_statement_lists_the_budgets_that_watch_its_calls_with_what_they_stopped() -> None:
    """Of the team's own features; budgets of others are not there."""
    budgets = [
        Budget("0.50 USD", name="session", per=["session"], mode="observe"),
        Budget("5 USD", name="search-day", where={"feature": "search"}, period="day"),
        Budget("5 USD", name="chat-day", where={"feature": "chat"}, period="day"),
        Budget("5 USD", name="growth", where={"team": "growth"}),
    ]
    stops = [
        refusal(ev.CALL_REFUSED, "search-day", "search"), refusal(ev.WOULD_REFUSE, "session", "search"),
        refusal(ev.WOULD_REFUSE, "session", "chat"),
    ]  # fmt: skip
    watching = team_limit(CARE, ChargeMode.CHARGEBACK, budgets, Mode.ENFORCE, stops).watching
    assert [(it.budget, it.limit, it.mode, it.refused_count, it.would_count) for it in watching] == [
        ("session", "0.50 USD per session", Mode.OBSERVE, 0, 1), ("search-day", "5.00 USD a day", Mode.ENFORCE, 1, 0)
    ]  # fmt: skip


def closed(count: int, mode: ChargeMode = ChargeMode.SHOWBACK) -> list[Closing]:
    """So many months from July on."""
    months = [CALENDAR.month(date(2026, 7 + number, 1)) for number in range(count)]
    at = datetime(2026, 11, 25, tzinfo=UTC)
    return [
        Closing(
            period=it.name, start=it.start, end=it.end, app=None, rules=ChargingRules(mode=mode), statements=(), at=at, by="ana"
        )
        for it in months
    ]


def change(before: int, after: int) -> Saving:
    """Twenty sessions on each side."""
    spans = Spans(OCTOBER.start, OCTOBER.start, OCTOBER.start, OCTOBER.end)
    costs = [{("search", f"{side}{number}"): nanos for number in range(20)} for side, nanos in (("a", before), ("b", after))]
    return saving_of(spans, *costs)


def test_advice_is_to_wait_two_to_three_months_and_to_move_only_if_spend_has_not_improved() -> None:
    """As a sentence with its figures."""
    assert advice([], None).startswith("Stay with showback: 0 months closed")
    assert advice(closed(1), None).startswith("Stay with showback: 1 month closed")
    assert advice(closed(2), change(100, 70)) == (
        "Stay with showback: cost per session fell by 30% from 2026-07 to 2026-08; teams act on what they see."
    )
    assert advice(closed(2), change(100, 110)).startswith("One more month of showback: cost per session rose by 10%")
    assert advice(closed(3), change(100, 110)).startswith(
        "Move to chargeback: cost per session rose by 10% from 2026-07 to 2026-09"
    )
    assert (
        advice([*closed(2), *closed(3, ChargeMode.CHARGEBACK)[2:]], None)
        == "Chargeback since 2026-09, after 2 months of showback."
    )


def a_period(rows: list[SpendRow]) -> PeriodStatements:
    """A preview of October."""
    return PeriodStatements(window=OCTOBER, app=None, rules=RULES, statements=statements_of(rows, RULES))


def test_pages_say_the_same_amounts() -> None:
    """CSV to the nano-USD, in a spreadsheet no formula; Markdown in which names are text."""
    hostile = SpendRow(app="shop", feature="=cmd|x", team="a|b*", nanos=USD + 1)
    it = a_period([*ROWS, hostile])
    rows = list(csv.DictReader(StringIO(csv_of(it, it.statements))))
    assert sum(int(row["nanos"]) for row in rows) == it.nanos == 126 * USD + 1
    assert {row["line"] for row in rows} == {"search", "gateway", "'=cmd|x"}
    page = markdown_of(it, it.statements[0], None)
    assert page.startswith("# a\\|b\\*, 2026-10\n")
    assert "| =cmd\\|x |" in page
    assert "1.000000001" in page


def test_json_has_the_columns_of_split_costs_of_focus() -> None:
    """Ratios of one cost's parts sum to exactly 1 as they are written; a part that no team bears has no resource."""
    rows = [SpendRow(app="shop", team=team, nanos=USD, call_count=count) for team, count in (("a", 1), ("b", 1), ("c", 5))]
    document = period_json(a_period([*rows, ROWS[1], SpendRow(app="shop", nanos=5, call_count=2)]))
    focus = [line["focus"] for it in document["statements"] for line in it["lines"] if line["kind"] == "shared"]
    assert [one["AllocatedResourceId"] for one in focus] == ["a", "b", "c", None]
    elements = [one["AllocatedMethodDetails"]["Elements"] for one in focus]
    assert sum(Decimal(repr(element["AllocatedRatio"])) for (element,) in elements) == 1
    assert [element["UsageQuantity"] for (element,) in elements] == [1, 1, 5, 2]
