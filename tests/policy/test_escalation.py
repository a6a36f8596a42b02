"""`[escalation]`, `[[planned]]`, `[attribution]` and absences become what the practice decides by."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from runguard_core.errors import PolicyError
from runguard_core.finops.owners import Ladder, Rung, released
from runguard_core.guard import AttributionRule, OnWrong
from runguard_core.policy import Policy, load_policy, policy_schema

FILE = """
app = "shop"
timezone = "Europe/Berlin"
require = ["user"]
[escalation]
unowned = "finops@example.com"
week_budget = "1000 USD"
[escalation.session]
times = 4
to = ["owner", "ana"]
[escalation.burst]
off = true
[escalation.product_week]
to = "cfo@example.com"
[[planned]]
feature = "search"
from = 2026-12-01
until = 2026-12-08
factor = 3
reason = "launch of the app"
release_days = 3
[attribution.team]
allowed = ["care", "growth"]
on_missing = "refuse"
[contacts.ana]
away = [{ from = 2026-12-21, until = 2027-01-04 }]
"""


def loaded(tmp_path: Path, text: str) -> Policy:
    """A policy of a file."""
    file = tmp_path / "runguard.toml"
    file.write_text(text)
    return load_policy(file, {})


def test_each_rung_can_be_set_and_the_rest_are_the_defaults(tmp_path: Path) -> None:
    """Thresholds, targets, off, the budget of the week, and who hears of what nobody owns."""
    ladder = loaded(tmp_path, FILE).ladder
    assert ladder == Ladder(
        session=Rung(times=4, to=("owner", "ana")), burst=Rung(times=None, to=("owner", "lead")),
        product_week=Rung(times=2, to=("cfo@example.com",)), week_budget_nanos=1000 * 10**9, unowned="finops@example.com",
    )  # fmt: skip
    assert (ladder.feature_day.times, ladder.feature_day.to) == (3, ("lead",))


@pytest.mark.parametrize(
    ("budgets", "nanos"),
    [
        ('[[budgets]]\nname="w"\nlimit="70 USD"\nperiod="week"\n[[budgets]]\nname="d"\nlimit="1 USD"\nperiod="day"', 70 * 10**9),
        ('[[budgets]]\nname="m"\nlimit="300 USD"\nperiod="month"', 70 * 10**9),
        ('[[budgets]]\nname="d"\nlimit="10 USD"\nperiod="day"', 70 * 10**9),
        ('[[budgets]]\nname="w"\nlimit="70 USD"\nperiod="week"\nper=["feature"]', None),
        ('[[budgets]]\nname="w"\nlimit="70k tokens"\nperiod="week"', None),
    ],
)
def test_the_weeks_budget_is_that_of_the_whole_app(tmp_path: Path, budgets: str, nanos: int | None) -> None:
    """By week, else month or day; none of a part of it, none in tokens."""
    assert loaded(tmp_path, budgets).ladder.week_budget_nanos == nanos


def test_planned_windows_are_local_dates_and_reach_the_watch_and_the_plan(tmp_path: Path) -> None:
    """The reserve is free some days before; the last day is exclusive."""
    policy = loaded(tmp_path, FILE)
    (window,) = policy.planned
    assert window.window.start == datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert (window.reason, window.extra_nanos(10 * 10**9)) == ("launch of the app", 140 * 10**9)
    (spend,) = policy.rules.anomalies.watch.planned
    assert (spend.feature, spend.factor, spend.start_seconds) == ("search", 3, window.window.start.timestamp())
    days = [27, 28, 30]
    assert [bool(released(policy.planned, datetime(2026, 11, day, 12, tzinfo=UTC))) for day in days] == [False, True, True]
    assert released(policy.planned, datetime(2026, 12, 7, 23, tzinfo=UTC)) == ()


def test_what_calls_must_say_and_who_is_away(tmp_path: Path) -> None:
    """A table of [attribution] requires its dimension."""
    policy = loaded(tmp_path, FILE)
    assert policy.rules.require == ("user", "team")
    assert policy.rules.attribution == (
        AttributionRule(dimension="user"),
        AttributionRule(dimension="team", allowed=frozenset({"care", "growth"}), on_missing=OnWrong.REFUSE),
    )
    ana = policy.registry.contact("ana")
    assert [ana.is_away(day) for day in (date(2026, 12, 20), date(2026, 12, 21), date(2027, 1, 4))] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[escalation]\nweek_budget = "much"', "escalation.week_budget"),
        ("[escalation.session]\ntimes = -1", "escalation.session.times"),
        ("[escalation.sessions]\ntimes = 1", "escalation.sessions"),
        ('[[planned]]\nfrom = 2026-12-02\nuntil = 2026-12-02\nfactor = 2\nreason = "x"', "planned.0.until"),
        ("[[planned]]\nfrom = 2026-12-01\nuntil = 2026-12-02\nfactor = 2", "planned.0.reason"),
        ('[[planned]]\nfrom = 2026-12-01\nuntil = 2026-12-02\nfactor = 0.5\nreason = "x"', "planned.0.factor"),
        ('[attribution.team]\non_missing = "drop"', "attribution.team.on_missing"),
    ],
)
def test_mistakes_are_named_by_their_key(tmp_path: Path, text: str, key: str) -> None:
    """With the file."""
    with pytest.raises(PolicyError) as caught:
        loaded(tmp_path, text)
    assert (caught.value.key, caught.value.file) == (key, str(tmp_path / "runguard.toml"))


def test_the_schema_has_the_words_of_the_file() -> None:
    """`from`, not the name that Python allows."""
    assert "from" in policy_schema()["$defs"]["PlannedTable"]["properties"]


def test_the_examples_of_the_page_are_policies(tmp_path: Path) -> None:
    """Each block alone, as somebody would paste it."""
    page = Path(__file__).parents[2] / "docs" / "finops" / "owners.md"
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        policy = loaded(tmp_path, block)
        assert policy.ladder.session.times == 5
        assert policy.guard(store="memory://").close() is None
