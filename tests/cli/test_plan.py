"""`runguard plan`, `forecast` and `metrics` on two months of a shop, and a policy with limits that follow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import load_policy, open_store
from runguard_core.budgets import parse_limit
from runguard_core.cli._main import app
from runguard_core.testing import make_traffic, write_traffic

START = datetime(2026, 8, 3, tzinfo=UTC)  # a Monday
DAYS = 77
CASSETTES = Path(__file__).parents[2] / "cassettes" / "sessions" / "loops.jsonl"
AT = "2026-10-15"
POLICY = """
app = "shop"
store = "sqlite:///{url}"
[[budgets]]
name = "feature-day"
limit = "20 USD"
per = ["feature"]
period = "day"
[[budgets]]
name = "customer-day"
limit = "20 % of feature-day"
per = ["feature", "user"]
period = "day"
[[budgets]]
name = "ratio"
limit = "3 % of revenue"
fallback = "50 USD"
period = "month"
where = {{ feature = "support-chat" }}
[plan]
total = "100 USD"
[plan.features.support-chat]
usd = "12"
[plan.features.code-review]
usd = "40"
[plan.features.voice]
sessions = 200
usd_per_session = "0.04"
"""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven weeks of six features at a twelfth of their size, read only."""
    path = tmp_path_factory.mktemp("plan") / "l.db"
    store = open_store(f"sqlite:///{path}")
    write_traffic(store, make_traffic(START, DAYS, seed=3, scale=0.08).calls, "shop")
    store.close()
    return path


@pytest.fixture
def policy(tmp_path: Path, ledger: Path) -> Path:
    """The policy of the shop."""
    return write(tmp_path, POLICY.format(url=ledger))


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The same policy on a ledger of its own, with one call's worth of nothing in it."""
    open_store(f"sqlite:///{tmp_path / 'fresh.db'}").close()
    return write(tmp_path, POLICY.format(url=tmp_path / "fresh.db"))


def write(folder: Path, text: str, name: str = "runguard.toml") -> Path:
    """A file."""
    (folder / name).write_text(text)
    return folder / name


def run(*args: object, code: int = 0) -> str:
    """A command's output, 100 columns wide."""
    done = CliRunner().invoke(app, [str(arg) for arg in args], env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == code, done.output
    return done.stdout if "--json" in args else done.output


def document(*args: object, code: int = 0) -> dict[str, Any]:
    """What --json says."""
    found: dict[str, Any] = json.loads(run(*args, "--json", code=code))
    return found


def test_the_month_is_shown_against_its_plan(policy: Path) -> None:
    """Sums agree with the ledger, what is unallocated is named, nothing is wider than the terminal."""
    found = document("plan", "show", "--policy", policy, "--at", AT)
    assert (found["allocated_usd"], found["unallocated_usd"], found["steady_usd"]) == ("60", "40", "70")
    spent = sum(Decimal(row["spent_usd"]) for row in found["features"])
    assert spent == Decimal(found["headroom"]["spent_usd"]) > 0
    assert {row["feature"] for row in found["features"]} > {"voice", "search", "code-review"}
    text = run("plan", "show", "--policy", policy, "--at", AT)
    assert "$60.00 of $100.00 a month are given to features, $40.00 are unallocated" in text
    assert "20 % of feature-day (20.00 USD) = 4.00 USD" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_a_report_of_the_same_ledger_is_the_same_to_the_byte(policy: Path) -> None:
    """Nothing depends on when it is asked."""
    for command in (["plan", "show"], ["plan", "show", "--quarter"], ["plan", "scenarios"], ["forecast"], ["plan", "worth"]):
        assert run(*command, "--policy", policy, "--at", AT) == run(*command, "--policy", policy, "--at", AT)


def test_the_quarter_shows_plan_actual_and_the_trend(policy: Path) -> None:
    """Three times the month's plan; cost per session by month."""
    found = document("plan", "show", "--quarter", "--policy", policy, "--at", "2026-09-30")
    review = next(row for row in found["features"] if row["feature"] == "code-review")
    assert (found["quarter"], review["planned_usd"], len(review["by_month"])) == ("2026-Q3", "120", 3)
    assert review["by_month"][0]["usd_per_session"] is None
    assert review["cost_per_session_trend_ratio"] is not None
    assert "2026-Q3: plan and actual" in run("plan", "show", "--quarter", "--policy", policy, "--at", "2026-09-30")


def test_more_given_out_than_there_is_fails_the_check(tmp_path: Path) -> None:
    """$70 of $50; with less the check passes and says what is worth a word."""
    text = '[plan]\ntotal = "50 USD"\n[plan.features.a]\nusd = 40\n[plan.features.b]\nusd = 30\n'
    wrong = write(tmp_path, text, "wrong.toml")
    found = document("plan", "check", "--policy", wrong, code=1)
    assert found["over_usd"] == "20"
    assert "$20.00 more than there is" in run("plan", "check", "--policy", wrong, code=1)
    right = write(tmp_path, text.replace("50 USD", "80 USD"), "right.toml")
    said = run("plan", "check", "--policy", right)
    assert "$10.00 are unallocated" in said
    assert "$14.00 of the reserve" in said


def test_the_tails_are_shown_with_what_fits(policy: Path) -> None:
    """All three, each with its rule; without a total there is no reserve to speak of."""
    found = document("plan", "scenarios", "--policy", policy, "--at", AT)["scenarios"]
    assert [one["scenario"] for one in found] == [
        "10x traffic for 6 hours", "3x usage for a week", "2x cost of every session for a month",
    ]  # fmt: skip
    assert all(Decimal(one["extra_usd"]) > 0 and isinstance(one["fits_now"], bool) for one in found)
    assert "P75 of 28 whole days" in run("plan", "scenarios", "--policy", policy, "--at", AT)
    bare = write(policy.parent, f'app = "shop"\nstore = "{load_policy(policy).content.store}"\n', "bare.toml")
    assert "plan.total" in " ".join(run("plan", "scenarios", "--policy", bare, code=2).split())


def test_importing_metrics_moves_the_limits_that_follow_them(fresh: Path, tmp_path: Path) -> None:
    """Before: the fallback. After: 3 % of last month's revenue, once, however often it is imported; a guard takes it."""
    assert "fallback 50.00 USD" in run("plan", "show", "--policy", fresh)
    last = (datetime.now(UTC).replace(day=1) - timedelta(days=1)).strftime("%Y-%m-01")
    file = write(tmp_path, f"date,metric,feature,value,covers\n{last},revenue,support-chat,900,month\n", "m.csv")
    assert document("metrics", "import", file, "--policy", fresh)["new"] == 1
    again = document("metrics", "import", file, "--policy", fresh)
    assert again["new"] == 0
    assert again["limits"][1]["limit"] == "27"
    assert "3 % of revenue of support-chat 900" in run("policy", "show", fresh)
    with load_policy(fresh).guard() as guard:
        assert guard.rules.budgets[2].limit == parse_limit("27 USD")
    listed = document("metrics", "list", "--policy", fresh)["metrics"]
    assert [(row["metric"], row["feature"], row["last_value"]) for row in listed] == [("revenue", "support-chat", "900")]
    bad = write(tmp_path, "date,metric,value\nsoon,revenue,1\n", "bad.csv")
    assert "row 2.date" in run("metrics", "import", bad, "--policy", fresh, code=2)


def test_a_program_that_is_run_and_runs_that_are_replayed_meet_the_limits_in_force(fresh: Path, tmp_path: Path) -> None:
    """3 % of ten cents: not the fallback of $50."""
    policy = write(tmp_path, fresh.read_text().replace('where = { feature = "support-chat" }', ""))
    last = (datetime.now(UTC).replace(day=1) - timedelta(days=1)).strftime("%Y-%m-01")
    run(
        "metrics", "import", write(tmp_path, f"date,metric,value,covers\n{last},revenue,0.1,month\n", "m.csv"), "--policy", policy
    )
    code = "from runguard_core.cli._guarding import guard_this_process as g; print(g().rules.budgets[2].limit)"
    given = {"RUNGUARD_POLICY": str(policy), "RUNGUARD_RUN_ID": "r", "RUNGUARD_RUN_SESSION": "s"}
    env = {**os.environ, **given, "RUNGUARD_RUN_REPORT": str(tmp_path / "report")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.003 USD"
    lines = run("replay", CASSETTES, "--policy", policy, "--json", "--only-stopped").splitlines()
    assert "budget ratio" in {json.loads(line)["stop"]["rule"] for line in lines}


def test_stale_metrics_are_named_with_their_age(fresh: Path, tmp_path: Path) -> None:
    """And the check says so."""
    old = (datetime.now(UTC) - timedelta(days=400)).strftime("%Y-%m-01")
    run(
        "metrics",
        "import",
        write(tmp_path, f"date,metric,feature,value,covers\n{old},revenue,support-chat,9,month\n", "m.csv"),
        "--policy",
        fresh,
    )
    limit = document("plan", "show", "--policy", fresh)["limits"][1]
    assert limit["is_stale"]
    assert limit["age_days"] > 365
    assert "days old" in run("plan", "check", "--policy", fresh)


def test_the_forecast_names_who_outgrows_what_and_when(policy: Path) -> None:
    """Weeks of ten whole ones, both kinds side by side, the plan's share of each week."""
    found = document("forecast", "--policy", policy, "--at", AT, "--every", "week", "--ahead", 4)
    assert found["known"][0] == "2026-W32"
    assert found["ahead"] == ["2026-W42", "2026-W43", "2026-W44", "2026-W45"]
    whole, review = found["forecasts"][0], next(row for row in found["forecasts"] if row["feature"] == "code-review")
    assert sum(Decimal(usd) for usd in whole["past_usd"]) > sum(Decimal(usd) for usd in review["past_usd"])
    assert abs(float(review["budget_usd"][0]) - 40 * 7 / 31) < 1e-6
    assert {review["compound"]["growth"], review["linear"]["growth"]} == {"compound", "linear"}
    text = run("forecast", "--policy", policy, "--at", AT, "--every", "week")
    assert "80 % band" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_a_start_and_a_rate_need_no_ledger() -> None:
    """$800 at 30 %: $3,861 compounded, $2,240 linear."""
    text = run("forecast", "--start", "800", "--growth", "30 %")
    assert "$3,861.45" in text
    assert "$2,240.00" in text
    assert "go together" in run("forecast", "--start", "800", code=2)
    assert "--growth" in run("forecast", "--start", "800", "--growth", "much", code=2)


def test_a_cap_is_weighed_against_what_its_users_bring(policy: Path) -> None:
    """In dollars that are given, and on the ledger's sessions."""
    assert "15 % of $180.00 is $27.00 lost, to save $0.90" in run(
        "plan", "cap", "--saved", "0.90", "--revenue", "180", "--loss", "15 %"
    )
    given = ("--policy", policy, "--at", AT, "--feature", "code-review", "--loss", "10 %")
    found = document("plan", "cap", *given, "--limit", "0.30", "--revenue-per-user", "20")
    assert 0 < found["capped_sessions"] < found["sessions"]
    assert Decimal(found["net_usd"]) == Decimal(found["saved_usd"]) - Decimal(found["lost_usd"])
    assert "--revenue-per-user" in run("plan", "cap", *given, "--limit", "0.30", code=2)
    assert "say either" in run("plan", "cap", "--loss", "1 %", code=2)


def test_cost_stands_beside_use_and_revenue_of_the_same_days(policy: Path, ledger: Path, tmp_path: Path) -> None:
    """Thirty whole days: cost over revenue where each of them is known, to the day; one missing day and there is no ratio."""
    shutil.copy(ledger, tmp_path / "copy.db")
    own = write(tmp_path, policy.read_text().replace(str(ledger), str(tmp_path / "copy.db")), "own.toml")
    days = [datetime(2026, 10, 15, tzinfo=UTC).date() - timedelta(days=number) for number in range(30)]
    rows = [f"{day},revenue,code-review,10" for day in days] + [f"{day},revenue,search,10" for day in days[:-1]]
    rows += ["2026-10-14,active users,code-review,5", "2026-10-14,active users,search,500"]
    run("metrics", "import", write(tmp_path, "\n".join(["date,metric,feature,value", *rows]), "m.csv"), "--policy", own)
    found = {row["feature"]: row for row in document("plan", "worth", "--policy", own, "--at", AT)["features"]}
    review = found["code-review"]
    assert review["cost_to_revenue_ratio"] == pytest.approx(float(review["spent_usd"]) / 300, abs=1e-6)
    assert found["search"]["cost_to_revenue_ratio"] is None
    assert (review["verdict"], found["search"]["verdict"]) == ("cut or mend", "keep")
    assert Decimal(review["usd_per_metric"]) == pytest.approx(Decimal(review["spent_usd"]) / 5, abs=Decimal("1e-9"))
    assert "of revenue" in run("plan", "worth", "--policy", own, "--at", AT)


def test_proposed_limits_are_a_policy_that_diff_compares_with_todays(policy: Path, tmp_path: Path) -> None:
    """Played through a real guard, written over the policy that holds, which cannot be overwritten."""
    proposed = tmp_path / "proposals" / "proposed.toml"
    proposed.parent.mkdir()
    found = document("plan", "propose", "--policy", policy, "--since", "2026-08-03", "--share", "P99", "-o", proposed)
    chat = next(row for row in found["proposals"] if row["feature"] == "support-chat")
    assert chat["rule"].startswith("P99 of")
    assert chat["stopped_healthy_sessions"] <= chat["stopped_sessions"] <= chat["sessions"] * 0.05
    limits = {budget.name: budget.limit for budget in load_policy(proposed).rules.budgets}
    assert limits["session-support-chat"] == parse_limit(f"{chat['limit_usd']} USD")
    assert limits["customer-day"] == parse_limit("4 USD"), "what holds today holds on"
    keys = {change["key"] for change in document("policy", "diff", policy, proposed)["changed"]}
    assert "budgets.session-support-chat.limit" in keys
    assert "another file" in run("plan", "propose", "--policy", policy, "--since", "2026-10-15", "-o", policy, code=2)


@pytest.mark.parametrize("command", [["plan", "show"], ["plan", "show", "--quarter"], ["plan", "scenarios"], ["forecast"],
                                     ["plan", "worth"], ["metrics", "list"], ["plan", "propose"], ["plan", "check"]])  # fmt: skip
def test_an_empty_ledger_is_said_in_words(command: list[str], fresh: Path) -> None:
    """No traceback, no division by nothing; as JSON too."""
    assert run(*command, "--policy", fresh).strip()
    assert document(*command, "--policy", fresh)
