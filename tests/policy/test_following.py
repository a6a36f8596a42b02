"""Limits of the policy file that follow a budget or a metric, and the plan's table."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from runguard_core import PolicyError, RefusedError, load_policy
from runguard_core.calls import ModelCall, Outcome, PromptPart
from runguard_core.events import BUDGET_THRESHOLD
from runguard_core.finops.planning import Covers, Metric, MetricBook, import_events
from runguard_core.ledger import Store
from runguard_core.stores import open_store
from runguard_core.usage import Usage

FEATURE_DAY = '[[budgets]]\nname = "feature-day"\nlimit = "200 USD"\nper = ["feature"]\nperiod = "day"\n'
RATIO = '[[budgets]]\nname = "ratio"\nlimit = "3 % of revenue"\nfallback = "50 USD"\nperiod = "month"\n'


def write(folder: Path, text: str, name: str = "runguard.toml") -> Path:
    """A policy file."""
    path = folder / name
    path.write_text(text)
    return path


def revenue(store: Store, value: object, app: str = "default") -> None:
    """Last month's revenue, in the ledger of an app."""
    now = datetime.now(UTC)
    month = date(now.year - (now.month == 1), (now.month - 2) % 12 + 1, 1)
    row = Metric(name="revenue", day=month, value=Decimal(str(value)), covers=Covers.MONTH)
    store.announce(import_events(MetricBook(), [row], app, "x.csv", now))


def test_a_share_of_another_budget_is_a_number_at_load(tmp_path: Path) -> None:
    """20 % of feature-day for each customer, before and after it in the file, and shares of shares."""
    text = (
        '[[budgets]]\nname = "trial"\nlimit = "10 % of customer-day"\nper = ["tag:trial"]\nperiod = "day"\n'
        '[[budgets]]\nname = "customer-day"\nlimit = "20 % of feature-day"\nper = ["feature", "user"]\nperiod = "day"\n'
    )
    policy = load_policy(write(tmp_path, text + FEATURE_DAY), {})
    assert [str(budget.limit) for budget in policy.rules.budgets] == ["4.00 USD", "40.00 USD", "200.00 USD"]
    assert [one.how for one in policy.limits] == [
        "10 % of customer-day (40.00 USD) = 4.00 USD", "20 % of feature-day (200.00 USD) = 40.00 USD",
    ]  # fmt: skip


def test_a_share_of_the_plan_makes_the_breaker_stop_at_what_was_planned(tmp_path: Path) -> None:
    """Of a feature's part, of the total; the plan is moved in one place."""
    budget = '[[budgets]]\nname = "{0}"\nlimit = "{1} % of plan"\nperiod = "month"\n'
    text = budget.format("month", 100) + budget.format("chat", 90) + 'where = { feature = "chat" }\n'
    text += '[plan]\ntotal = "500 USD"\n[plan.features.chat]\nsessions = 1000\nusd_per_session = "0.10"\n'
    policy = load_policy(write(tmp_path, text), {})
    assert [str(budget.limit) for budget in policy.rules.budgets] == ["500.00 USD", "90.00 USD"]
    assert policy.limits[1].how == "90 % of plan.features.chat (100.00 USD) = 90.00 USD"


def test_a_plain_limit_may_be_laid_over_one_that_follows(tmp_path: Path) -> None:
    """The fallback below is not needed any more, and no mistake."""
    write(tmp_path, RATIO, "company.toml")
    file = write(tmp_path, 'extends = "company.toml"\n[[budgets]]\nname = "ratio"\nlimit = "7 USD"\n')
    assert str(load_policy(file, {}).rules.budgets[0].limit) == "7.00 USD"


def test_the_ratio_is_announced_before_it_is_reached(tmp_path: Path) -> None:
    """At 70 % of 3 % of revenue, in whatever dollars that is this month."""
    store = open_store("memory://")
    revenue(store, 2)
    policy = load_policy(write(tmp_path, RATIO + "thresholds = [0.7]\n"), {})
    with policy.guard(store=store) as guard:
        call = ModelCall(model="gpt-4o", parts=(PromptPart("user", 72_000, 1),), max_output_tokens=10)
        guard.reserve(call, guard.attribution(session="s")).settle(Outcome(usage=Usage(input_tokens=18_000, output_tokens=10)))
        said = [event for event in store.events() if event.kind == BUDGET_THRESHOLD]
    assert [event.facts["budget"] for event in said] == ["ratio"]


def test_until_a_ledger_is_asked_the_fallback_holds(tmp_path: Path) -> None:
    """Loading starts nothing."""
    policy = load_policy(write(tmp_path, RATIO), {})
    assert str(policy.rules.budgets[0].limit) == "50.00 USD"
    assert policy.limits[0].is_fallback


def test_a_guard_takes_what_the_metric_in_its_ledger_comes_to(tmp_path: Path) -> None:
    """3 % of $2 is six cents: the call that would pass them is refused before it is sent; a new guard reads anew."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    policy = load_policy(write(tmp_path, f'store = "{url}"\nunpriced = "flag"\n' + RATIO), {})
    assert not (tmp_path / "l.db").exists()
    store = open_store(url)
    revenue(store, 2)
    revenue(store, 10**6, "another app")
    store.close()
    with policy.guard() as guard:
        assert str(guard.rules.budgets[0].limit) == "0.06 USD"
        big = ModelCall(model="gpt-4o", max_output_tokens=10)
        held = guard.reserve(big, guard.attribution(session="s"))
        held.settle(Outcome(usage=Usage(input_tokens=20_000, output_tokens=1_500)))
        with pytest.raises(RefusedError, match="ratio"):
            guard.reserve(big, guard.attribution(session="t"))
        revenue(guard.store, 4)
        assert str(guard.rules.budgets[0].limit) == "0.06 USD", "a guard that runs keeps its limit"
        with policy.guard(store=guard.store) as second:
            assert second.rules.budgets[0].limit.amount > guard.rules.budgets[0].limit.amount


def test_a_ledger_that_cannot_be_read_leaves_the_fallback_and_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The guard does no harm, and no limit is missing."""
    broken = tmp_path / "l.db"
    broken.write_bytes(b"no database, but long enough to look like one" * 100)
    policy = load_policy(write(tmp_path, f'store = "sqlite:///{broken}"\non_store_error = "admit"\n' + RATIO), {})
    from runguard_core.policy import metrics_at

    with caplog.at_level(logging.WARNING, "runguard"):
        assert metrics_at(policy.content.store, "default") == MetricBook()
    assert "fallbacks" in caplog.text


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        (RATIO.replace('fallback = "50 USD"\n', ""), "budgets.0.fallback", "for as long as the metric 'revenue' is not known"),
        (RATIO.replace("50 USD", "40 turns"), "budgets.0.fallback", "expected USD"),
        (RATIO + 'per = ["user"]\n', "budgets.0.per", "one number for all"),
        (RATIO.replace("month", "session"), "budgets.0.period", "day, week or month"),
        (RATIO.replace("month", "fortnight"), "budgets.0.period", "day, week or month"),
        (RATIO + 'landing = "1 USD"\n', "budgets.0.landing", "the limit moves"),
        (RATIO.replace("3 %", "300 %"), "budgets.0.limit", "up to 100 %"),
        (FEATURE_DAY + 'fallback = "lots"\n', "budgets.0.fallback", "got 'lots'"),
        (FEATURE_DAY.replace("200 USD", "5 USD per session"), "budgets.0.limit", 'limit = "5 USD" and per = ["session"]'),
        (FEATURE_DAY.replace("200 USD", "5 USD per day"), "budgets.0.limit", 'limit = "5 USD" and period = "day"'),
        (RATIO.replace("revenue", "plan"), "plan.total", "the budget 'ratio' follows it"),
        (RATIO.replace("revenue", "plan") + 'where = { feature = "a" }\n', "plan.features.a", "follows it"),
        (RATIO.replace("3 % of revenue", "9 % of plan").replace("month", "day"), "budgets.0.period", "'month'"),
        (FEATURE_DAY + '[[budgets]]\nname = "c"\nlimit = "20 % of feature-day"\n', "budgets.1.period", "'day', as 'feature-day' has"),
        ('[[budgets]]\nname = "a"\nlimit = "20 % of a"\n', "budgets.0.limit", "does not follow itself: a -> a"),
        (
            '[[budgets]]\nname = "a"\nlimit = "20 % of b"\n[[budgets]]\nname = "b"\nlimit = "20 % of a"\n',
            "budgets.0.limit", "a -> b -> a",
        ),
        ('[plan]\ntotal = "40 turns"\n', "plan.total", "expected USD"),
        ("[plan]\ntotal = 0\n", "plan.total", "more than nothing"),
        ("[plan]\ntotals = 1\n", "plan.totals", "did you mean 'total'"),
        ('[plan]\nreserve = "130 %"\n', "plan.reserve", "from 0% to 100%"),
        ("[plan]\nreserve = 1\n", "plan.reserve", "less than all"),
        ("[plan.features.a]\nsessions = 5\n", "plan.features.a.usd_per_session", "go together"),
        ("[plan.features.a]\nusd_per_session = 5\n", "plan.features.a.sessions", "go together"),
        ("[plan.features.a]\n", "plan.features.a", "expected usd, or"),
        ('[plan.features.a]\nusd = "ten"\n', "plan.features.a.usd", "got 'ten'"),
        ('[plan.metrics.revenue]\nkind = "mean"\n', "plan.metrics.revenue.kind", "'sum'"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_file_and_the_key(tmp_path: Path, text: str, key: str, said: str) -> None:
    """At load, before anything runs."""
    file = write(tmp_path, text)
    with pytest.raises(PolicyError) as found:
        load_policy(file, {})
    assert found.value.file == str(file)
    assert found.value.key in {key, key.replace("budgets.0", "budgets.1")}
    assert said in str(found.value)


@pytest.mark.parametrize(
    ("limit", "is_allowed"),
    [("2 % of revenue", True), ("3 % of revenue", True), ("4 % of revenue", False), ("3 % of orders", False), ("1 USD", False)],
)
def test_a_locked_limit_that_follows_may_only_follow_the_same_and_less(tmp_path: Path, limit: str, is_allowed: bool) -> None:
    """What cannot be compared is not lower."""
    write(tmp_path, RATIO + "locked = true\n", "company.toml")
    file = write(tmp_path, f'extends = "company.toml"\n[[budgets]]\nname = "ratio"\nlimit = "{limit}"\n')
    if is_allowed:
        assert load_policy(file, {}).limits[0].text == limit
    else:
        with pytest.raises(PolicyError, match="locked"):
            load_policy(file, {})


def test_a_plan_is_read_in_whole_nano_dollars(tmp_path: Path) -> None:
    """Total, reserve and features; a plan that is not there plans nothing."""
    text = '[plan]\ntotal = "5000 USD"\nreserve = "25 %"\n[plan.features.voice]\nsessions = 2000\nusd_per_session = "0.04"\n'
    plan = load_policy(write(tmp_path, text), {}).plan
    assert (plan.total_nanos, plan.headroom_nanos, plan.features["voice"].nanos) == (5000 * 10**9, 1250 * 10**9, 80 * 10**9)
    assert load_policy(write(tmp_path, ""), {}).plan.features == {}
