"""`runguard kill`, `reset`, `raise` with selectors and --dry-run, and `runguard audit` over what they left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import Budget, Guard, StoppedError, ToolCall, Usage
from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._app import app
from runguard_core.stores import open_store

runner = CliRunner()


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Two features, each with a session that loops; a budget that refused."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    budgets = [
        Budget("0.0001 USD", name="small", per=["session"], where={"agent": "writer"}),
        Budget("5 USD", name="day", per=["feature"], period="day"),
    ]
    guard = Guard(app="shop", store=f"{url}?leases=off", budgets=budgets)
    for feature in ("search", "chat"):
        with guard.session(f"loop-{feature}", feature=feature, agent="planner"):
            with guard.model_call("gpt-4o-mini", prompt="y") as call:
                call.post(Usage(input_tokens=9, output_tokens=9))
            with pytest.raises(StoppedError):
                for _ in range(5):
                    guard.reserve(ToolCall(name="find", arguments={})).post(result="nothing")
    with guard.session("poor", feature="chat", agent="writer"), pytest.raises(StoppedError):
        guard.model_call("gpt-4o-mini", prompt="x" * 40_000, max_output_tokens=10_000)
    guard.close()
    return url


def run(*args: str, code: int = 0) -> str:
    """Run a command; its output."""
    found = runner.invoke(app, list(args), env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert found.exit_code == code, found.output + str(found.exception)
    return found.output


def document(*args: str) -> Any:
    """Run a command with --json."""
    return json.loads(run(*args, "--json"))


def latches(url: str) -> set[tuple[str, str]]:
    """(kind, rule) of sessions and runs that are stopped."""
    store = open_store(url + "?leases=off")
    found = {(latch.session or latch.scope_id, latch.rule) for latch in store.latches().values()}
    store.close()
    return found


def test_reset_lets_go_what_a_rule_a_feature_and_a_time_select_and_nothing_else(url: str) -> None:
    """Both latches of the loop in search; the loop in chat and the refusal stay. A dry run changes nothing."""
    asked = ("reset", "--rule", "repeat", "--feature", "search", "--since", "1h", "--reason", "index is back", "--store", url)
    before = latches(url)
    assert "session:loop-search would run again" in run(*asked, "--dry-run")
    assert latches(url) == before
    found = document(*asked)
    assert {row["scope"] for row in found["reset"]} >= {"session:loop-search"}
    assert latches(url) == {("loop-chat", "repeat"), ("poor", "budget")}
    assert "Nothing that is stopped matches" in run(*asked)


def test_a_scope_and_a_selection_are_not_named_together_nor_neither(url: str) -> None:
    """And a reason is always asked for."""
    assert "not both" in run("reset", "--reason", "x", "--store", url, code=2)
    assert "not both" in run("reset", "app", "--rule", "repeat", "--reason", "x", "--store", url, code=2)
    assert "say why" in run("reset", "app", "--store", url, code=2)
    assert "not both" in run("kill", "app", "--feature", "f", "--reason", "x", "--store", url, code=2)
    assert "feature or of an agent" in run("kill", "--agent", "a", "--feature", "f", "--reason", "x", "--store", url, code=2)


def test_kill_stops_a_feature_for_a_time_or_each_session_in_which_a_rule_spoke(url: str) -> None:
    """A dry run says which; the way back is printed."""
    sessions = ("kill", "--rule", "repeat", "--reason", "loops", "--store", url)
    dry = run(*sessions, "--dry-run")
    assert "session:loop-search would be stopped." in dry and "session:loop-chat would be stopped." in dry
    assert not any(rule == "kill" for _, rule in latches(url))
    found = document("kill", "--feature", "search", "--until", "2h", "--reason", "x", "--store", url)
    assert found["scope"] == "feature:search" and found["until"]
    assert "Undo: runguard reset session:loop-chat" in run(*sessions, "--feature", "chat")
    assert {scope for scope, rule in latches(url) if rule == "kill"} == {"search", "loop-chat"}


def test_raise_gives_one_account_another_limit_and_asks_where_several_match(url: str) -> None:
    """What it had stopped may go on; the command line finds what refused."""
    place = ("--reason", "launch", "--store", url)
    assert "2 accounts match" in run("raise", "9 USD", "--budget", "feature", *place, code=2)
    dry = run("raise", "9 USD", "--feature", "search", "--dry-run", *place)
    assert "would have a limit of 9.00 USD instead of 5.00 USD" in dry
    found = document("raise", "9 USD", "--feature", "search", "--until", "6h", "--by", "ann", *place)
    assert [(row["before"], row["after"]) for row in found["accounts"]] == [(str(5 * 10**9), str(9 * 10**9))]
    refused = document("raise", "1 USD", "--since", "1h", *place)
    assert refused["accounts"][0]["account"] == "agent writer, session poor"
    assert len(refused["accounts"][0]["lifted"]) == 1
    assert "no account" in run("raise", "9 turns", *place, code=1)
    assert "select further" in run("raise", "9 USD", *place, code=2)
    assert len(document("raise", "9 USD", "--all", *place)["accounts"]) == 3


def test_the_audit_has_every_decision_with_who_when_why_and_from_what_to_what(url: str) -> None:
    """One row each, in order; by person and by kind; in a terminal of 100 columns."""
    place = ("--store", url)
    run("kill", "agent:planner", "--reason", "runaway", "--by", "ann", *place)
    run("reset", "agent:planner", "--reason", "mended", "--by", "bob", *place)
    run("raise", "9 USD", "--feature", "chat", "--reason", "launch", "--by", "ann", *place)
    rows = document("audit", *place)["decisions"]
    assert [(row["what"], row["by"], row["reason"], row["about"]) for row in rows[:2]] == [
        ("kill", "ann", "runaway", "agent:planner"),
        ("reset", "bob", "mended", "agent:planner"),
    ]
    assert (rows[0]["before"], rows[0]["after"]["rule"]) == (None, "kill")
    assert (rows[1]["before"]["by"], rows[1]["after"]) == ("ann", None)
    assert (rows[2]["before"]["limit"], rows[2]["after"]["limit"]) == ("5.00 USD", "9.00 USD")
    assert {row["by"] for row in document("audit", "--by", "ann", *place)["decisions"]} == {"ann"}
    assert [row["what"] for row in document("audit", "--kind", "reset", *place)["decisions"]] == ["reset"]
    assert document("audit", "--until", "1h", *place)["decisions"] == []
    text = run("audit", *place)
    assert "limit: 5.00 USD -> 9.00 USD" in text and "was stopped by kill" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "expected one of policy, kill" in run("audit", "--kind", "nonsense", *place, code=2)
