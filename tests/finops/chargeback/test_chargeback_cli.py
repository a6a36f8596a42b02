"""`runguard chargeback`, and its table of the policy."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core.cli._main import app
from runguard_core.errors import PolicyError
from runguard_core.finops.chargeback import ChargeMode, Method
from runguard_core.policy import charging_rules, load_policy
from runguard_core.stores import open_store
from tests.finops.chargeback.ledger import reserved, spent

POLICY = """
app = "shop"
timezone = "Europe/Berlin"
[teams.growth]
[chargeback]
mode = "chargeback"
since = "2026-10"
[[chargeback.shared]]
name = "gateway"
where = { feature = "gateway" }
[[chargeback.shared]]
name = "gateway"
where = { feature = "gateway" }
method = "calls"
since = "2026-09"
[[budgets]]
name = "team-month"
limit = "3 USD"
per = ["team"]
period = "month"
"""


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """A ledger with August to October, and a policy."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    store = open_store(url)
    for month in (8, 9, 10):
        at = datetime(2026, month, 10, tzinfo=UTC)
        spent(store, f"s{month}", at, 2 * 10**9, team="care", feature="search", session=f"s{month}")
        spent(store, f"g{month}", at, 10**9, feature="gateway", session=f"g{month}")
        spent(store, f"l{month}", at, 5 * 10**8, feature="lost", session=f"l{month}")
    # 23:30 on 31 August in London is September in Berlin
    spent(store, "edge", datetime(2026, 8, 31, 22, 30, tzinfo=UTC), 10**8, team="care", feature="search", session="edge")
    store.close()
    policy = tmp_path / "charging.toml"
    policy.write_text(POLICY)
    return ["--store", url, "--policy", str(policy)]


def run(options: list[str], *args: str, code: int = 0) -> str:
    """What a command prints, 100 columns wide."""
    env = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = CliRunner().invoke(app, ["chargeback", *args, *options], env=env)
    assert done.exit_code == code, done.output
    return done.output


def json_of(options: list[str], *args: str, code: int = 0) -> dict[str, Any]:
    """The same as JSON."""
    found: dict[str, Any] = json.loads(run(options, *args, "--json", code=code))
    return found


def amounts(document: dict[str, Any]) -> dict[str, int]:
    """Of each party."""
    return {f"{it['party']} {it['name']}".strip(): int(it["nanos"]) for it in document["statements"]}


def test_methods_and_modes_switch_by_month_and_the_closings_keep_what_held(options: list[str]) -> None:
    """Overhead in August, by calls from September on; showback before October."""
    assert amounts(json_of(options, "show", "--period", "2026-08")) == {
        "team care": 2 * 10**9, "team growth": 5 * 10**8, "unattributed": 0, "overhead gateway": 10**9
    }  # fmt: skip
    september = json_of(options, "show", "--at", "2026-09-17")
    assert amounts(september) == {"team care": 21 * 10**8 + 666666667, "team growth": 833333333, "unattributed": 0}
    for period in ("2026-08", "2026-09", "2026-10"):
        assert json_of(options, "close", "--period", period)["is_first"] is True
    kept = json_of(options, "list")["closings"]
    assert [(it["period"], it["mode"], it["shared"]["gateway"]) for it in kept] == [
        ("2026-08", "showback", "overhead"), ("2026-09", "showback", "calls"), ("2026-10", "chargeback", "calls")
    ]  # fmt: skip
    assert max(map(len, run(options, "list").splitlines())) <= 100


def test_a_statement_is_text_markdown_csv_or_json_with_what_remains(options: list[str], tmp_path: Path) -> None:
    """The same amount in each; in chargeback the budget is less."""
    document = json_of(options, "statement", "care", "--period", "2026-10")
    assert document["nanos"] == "2500000000"
    assert document["budget"]["remaining_nanos"] == "500000000"
    assert json_of(options, "statement", "care", "--period", "2026-09")["budget"]["remaining_nanos"] is None
    text = run(options, "statement", "care", "--period", "2026-10")
    assert "Deducted from budget 'team-month' of $3.00: $0.50 remain." in text
    assert "50.00% by calls" in text
    file = tmp_path / "care.md"
    run(options, "statement", "care", "--period", "2026-10", "--output", str(file))
    assert "| **total** | | | **2.5** | |" in file.read_text()
    assert "team,care,direct,search,2000000000,2" in run(options, "statement", "care", "--period", "2026-10", "--format", "csv")
    assert "there are: care, growth, unattributed" in run(options, "statement", "nobody", "--period", "2026-10", code=1)


def test_the_page_of_a_month_fits_a_terminal_and_says_what_it_adds_up_to(options: list[str]) -> None:
    """With the advice below."""
    page = run(options, "show", "--period", "2026-10")
    assert "preview, not closed" in page
    assert "The ledger's spend is $3.50; the statements add up to $3.50." in page
    assert "Stay with showback: 0 months closed" in page
    assert max(map(len, page.splitlines())) <= 100
    assert "Nothing was spent." in run(options, "show", "--period", "2020-01")


def test_a_month_is_closed_once_and_a_second_time_is_an_answer(options: list[str]) -> None:
    """Byte-equal before and after."""
    run(options, "close", "--period", "2026-08", "--by", "ana")
    first = run(options, "show", "--period", "2026-08", "--format", "csv")
    assert "was closed" in run(options, "close", "--period", "2026-08", "--by", "ben", code=1)
    assert run(options, "show", "--period", "2026-08", "--format", "csv") == first
    assert "by ana" in " ".join(run(options, "show", "--period", "2026-08").split())


def test_a_month_with_a_call_in_flight_is_closed_only_with_a_reason(options: list[str]) -> None:
    """Kept with the closing; what the call costs in the end is next month's correction."""
    store = open_store(options[1])
    reserved(store, "flight", datetime(2026, 8, 20, tzinfo=UTC), team="care")
    store.close()
    assert "in flight" in run(options, "close", "--period", "2026-08", code=1)
    assert "--force REASON" in run(options, "close", "--period", "2026-08", "--force", " ", code=1)
    run(options, "close", "--period", "2026-08", "--force", "the books must be in")
    assert json_of(options, "list")["closings"][0]["reason"] == "the books must be in"
    future = (datetime.now(UTC) + timedelta(days=62)).strftime("%Y-%m")
    assert "is not over before" in " ".join(run(options, "close", "--period", future, code=1).split())


def test_a_month_is_not_charged_app_by_app_and_for_all_apps(options: list[str]) -> None:
    """The same call would be on two statements."""
    run(options, "close", "--period", "2026-08", "--app", "shop")
    assert "charged twice" in " ".join(run(options, "close", "--period", "2026-08", code=1).split())
    run(options, "close", "--period", "2026-09")
    assert "charged twice" in " ".join(run(options, "close", "--period", "2026-09", "--app", "shop", code=1).split())


def test_mistakes_are_sentences(options: list[str]) -> None:
    """A period that is none, two periods at once, a day that is none."""
    assert "2026-10" in run(options, "show", "--period", "October", code=2)
    assert "either --period or --at" in " ".join(
        run(options, "show", "--period", "2026-10", "--at", "2026-10-01", code=2).split()
    )
    assert "2026-10-17" in run(options, "show", "--at", "2026-13-01", code=2)


def _close(options: list[str], name: str, gate: Any, results: Any) -> None:
    gate.wait(60)
    done = CliRunner().invoke(app, ["chargeback", "close", "--period", "2026-08", "--by", name, "--json", *options])
    results.put((done.exit_code, json.loads(done.output)["is_first"], json.loads(done.output)["closing"]["by"]))


def test_two_processes_that_close_at_once_close_once(options: list[str]) -> None:
    """One of them is first, both name the same closing."""
    context = get_context("spawn")
    gate, results = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_close, args=(options, name, gate, results)) for name in ("ana", "ben")]
    for worker in workers:
        worker.start()
    found = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(60)
    assert [(code, is_first) for code, is_first, _ in found] == [(0, True), (1, False)]
    assert len({by for _, _, by in found}) == 1
    assert len(json_of(options, "list")["closings"]) == 1


def policy_of(tmp_path: Path, text: str) -> Any:
    """The content of a policy file."""
    file = tmp_path / "runguard.toml"
    file.write_text(text)
    return load_policy(file, {}).content


def test_the_policy_of_the_page_is_one(tmp_path: Path) -> None:
    """As somebody would paste it."""
    page = (Path(__file__).parents[3] / "docs" / "finops" / "chargeback.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert charging_rules(policy_of(tmp_path, block), "2026-12").shared[0].method is Method.CALLS


def test_the_policy_says_what_holds_in_which_month(tmp_path: Path) -> None:
    """Of several entries of one name the latest that has begun; `direct` ends sharing."""
    content = policy_of(tmp_path, POLICY + '[features.search]\nteam = "care"\n')
    august, october = charging_rules(content, "2026-08"), charging_rules(content, "2026-10")
    assert (august.mode, august.shared[0].method) == (ChargeMode.SHOWBACK, Method.OVERHEAD)
    assert (october.mode, october.shared[0].method) == (ChargeMode.CHARGEBACK, Method.CALLS)
    assert (october.teams, october.feature_teams) == (("care", "growth"), {"search": "care"})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[chargeback]\nresidual = "guess"', "chargeback.residual"),
        ('[chargeback]\nsince = "October"', "chargeback.since"),
        ('[[chargeback.shared]]\nname = "x"\nwhere = { user = "u" }', "app, feature, team, agent; not user"),
        ('[[chargeback.shared]]\nname = "x"\nwhere = {}', "chargeback.shared"),
        ('[[chargeback.shared]]\nname = "x"\nwhere = { app = "a" }\n' * 2, "is there twice since"),
    ],
)
def test_a_mistake_in_the_table_is_named(text: str, key: str, tmp_path: Path) -> None:
    """File, key and what was expected."""
    with pytest.raises(PolicyError) as caught:
        policy_of(tmp_path, text)
    assert key in str(caught.value)
