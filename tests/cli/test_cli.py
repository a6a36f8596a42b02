"""The command line: texts, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import Budget, Guard, StoppedError, ToolCall, Usage
from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._app import app
from runguard_core.stores import SqliteStore, default_path

runner = CliRunner()


@pytest.fixture
def ledger() -> Guard:
    """A ledger in its default place with a healthy and a looping session."""
    guard = Guard(app="shop", budgets=[Budget("0.50 USD", per=["session"]), Budget("5 USD", period="day")])
    with guard.session("healthy", agent="planner", user="ann", tags={"tier": "free"}):
        for _ in range(3):
            with guard.model_call("gpt-4o-mini", prompt="x" * 400) as call:
                call.post(Usage(input_tokens=1000, output_tokens=100), tool_names=("search",))
            guard.reserve(ToolCall(name="search", arguments={"q": _})).post(result="found it")
    with guard.session("looping", agent="planner"):
        with guard.model_call("gpt-4o-mini", prompt="y") as call:
            call.post(None)
        with pytest.raises(StoppedError):
            for _ in range(5):
                guard.reserve(ToolCall(name="search", arguments={})).post(result="nothing")
    guard.close()
    return guard


def run(*args: str, code: int = 0) -> str:
    """Run a command; its output."""
    found = runner.invoke(app, list(args), env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert found.exit_code == code, found.output + str(found.exception)
    return found.output


def document(*args: str, code: int = 0) -> Any:
    """Run a command with --json."""
    return json.loads(run(*args, "--json", code=code))


def test_sessions_and_their_sums(ledger: Guard) -> None:
    """Newest first; text and JSON agree with the ledger to the nano-dollar."""
    rows = document("sessions")["sessions"]
    assert [(row["session"], row["state"], row["turn_count"]) for row in rows] == [
        ("looping", "stopped", 1),
        ("healthy", "finished", 3),
    ]
    assert rows[1]["spend"]["nanos"] == str(3 * (1000 * 150 + 100 * 600))
    assert "healthy" in run("sessions")
    assert "No sessions" not in run("sessions", "--since", "1h")
    assert document("sessions", "--since", "2999-01-01")["sessions"] == []


def test_explain_shows_turns_parts_and_what_stopped_it(ledger: Guard) -> None:
    """The latest session when none is named."""
    found = document("explain")
    assert found["session"] == "looping"
    assert [stop["kind"] for stop in found["stops"]] == ["run_tripped"]
    text = run("explain", "healthy")
    assert "tool loop" in text
    assert "user messages" in text
    healthy = document("explain", "healthy")
    parts = sum(int(o["nanos"]) for o in healthy["origins"]) + int(healthy["output_nanos"])
    assert parts == int(healthy["spend"]["nanos"]) == sum(int(r["nanos"]) for r in healthy["runs"])
    assert "no calls of session" in run("explain", "nobody", code=1)


def test_refusals_by_one_budget_are_told_once(ledger: Guard) -> None:
    """A burst against a cap is one line with a number, not a page."""
    guard = Guard(app="shop", budgets=[Budget("0.01 USD", name="greedy", where={"session": "greedy"})], quote="bound")
    for _ in range(5):
        with guard.session("greedy"), pytest.raises(StoppedError):
            guard.model_call("gpt-4o-mini", prompt="x", max_output_tokens=100_000)
    with guard.session("greedy"), guard.model_call("gpt-4o-mini", prompt="x", max_output_tokens=10) as call:
        call.post(Usage(input_tokens=1, output_tokens=1))
    guard.close()
    for command in (("explain", "greedy"), ("trips",)):
        text = " ".join(run(*command).split())
        assert text.count("budget 'greedy' (session greedy) has 0.01 USD left and the call asks for") >= 1
        assert text.count("call_refused") == 1
        assert "call_refused (5 times)" in text


def test_a_ledger_that_is_not_there_names_those_that_are(ledger: Guard) -> None:
    """`policy init` in a folder changes whose ledger is read: the others are found again."""
    said = " ".join(run("sessions", "--app", "nobody", code=3).split())
    assert "there is no ledger at" in said
    assert "(there: shop)" in said


def test_report_sums_by_anything(ledger: Guard) -> None:
    """Every split adds up to the total; the certainty band is shown."""
    found = document("report", "--by", "agent", "--by", "tag:tier", "--by", "model", "--by", "tool", "--by", "day")
    for rows in found["by"].values():
        assert sum(int(row["nanos"]) for row in rows) in {int(found["total"]["nanos"]), 0}
    assert int(found["total"]["estimated_nanos"]) > 0
    assert "estimated" in run("report", "--since", "7d")


def test_budget_shows_limits_and_what_is_left(ledger: Guard) -> None:
    """With the time it frees."""
    rows = {row["account"]: row for row in document("budget")["accounts"]}
    session = rows["session healthy"]
    assert int(session["available"]) == int(session["limit"]) - int(session["posted"])
    assert any(row["frees_at"] for row in rows.values())
    assert "healthy" in run("budget")


def test_trips_reset_and_kill(ledger: Guard) -> None:
    """What is stopped is shown, can be let go with a reason, and stopped again."""
    scopes = [latch["scope"] for latch in document("trips")["latches"]]
    assert "session:looping" in scopes
    assert "search would be called for the 3rd time" in " ".join(run("trips").split())
    text = run("trips")
    assert "runguard reset KIND:ID" in text
    assert "on trial" in text
    assert document("reset", "session:looping", "--reason", "index is back")["was_stopped"] is True
    assert document("reset", "session:looping", "--reason", "again")["was_stopped"] is False
    run("kill", "agent:planner", code=2)
    run("kill", "agent:planner", "--reason", "ticket 7")
    guard = Guard(app="shop")
    with guard.session("x", agent="planner"), pytest.raises(StoppedError, match="ticket 7"):
        guard.model_call("gpt-4o-mini", prompt="x")
    guard.close()
    assert "expected" in run("reset", "nonsense", "--reason", "x", code=2)


def test_verify_is_clean_or_exits_with_1(ledger: Guard) -> None:
    """A balance that was tampered with is named."""
    assert document("verify")["discrepancies"] == []
    store = SqliteStore(str(default_path("shop")))
    store._connections.get().execute("UPDATE account SET posted = posted + 1 WHERE title = 'session healthy'")
    store.close()
    assert "session healthy" in run("verify", code=1)


def test_prices_and_unknown_models() -> None:
    """USD per million tokens and the source; an unknown name is one sentence."""
    assert document("prices", "gpt-4o-mini")["usd_per_mtok"]["standard"]["input"] == "0.15"
    assert "genai-prices" in run("prices", "claude-sonnet-4-6")
    assert "gpt-4o-mini" in run("prices", "gpt-4o-minni", code=1)


def test_policy_commands(tmp_path: Path) -> None:
    """Init, check, show, schema."""
    run("policy", "init")
    run("policy", "init", code=2)
    assert document("policy", "check", "runguard.toml")["budgets"] == ["session", "day"]
    assert json.loads(run("policy", "show"))["app"] == "my-agent"
    assert json.loads(run("policy", "schema"))["title"] == "runguard.toml"
    Path("bad.toml").write_text("budgts = 1")
    assert "did you mean" in run("policy", "check", "bad.toml", code=2)


@pytest.mark.parametrize("command", ["sessions", "explain", "report", "budget", "trips", "verify"])
def test_without_a_ledger_the_way_to_one_is_named(command: str) -> None:
    """Exit code 3, no traceback, no file made."""
    assert "runguard demo" in " ".join(run(command, code=3).split())
    assert not default_path("default").exists()


def test_every_command_teaches() -> None:
    """--help has an example or says what is needed."""
    for command in ("sessions", "explain", "report", "budget", "trips", "verify", "reset", "kill", "prices", "run", "demo"):
        text = run(command, "--help")
        assert "Example:" in text or "pip install" in text, command
    assert "runguard 0." in run("--version")


def test_a_corrupt_ledger_is_one_sentence(ledger: Guard) -> None:
    """With the way out."""
    default_path("shop").write_bytes(b"garbage" * 1000)
    for extra in ("-wal", "-shm"):
        Path(f"{default_path('shop')}{extra}").unlink(missing_ok=True)
    assert "aside" in run("sessions", code=3)


@pytest.mark.parametrize("since", ["999999999d", "yesterday", "3 calls", "2026-13-01", "0001-01-01T00:00+14:00"])
def test_times_that_cannot_be_are_usage_errors(ledger: Guard, since: str) -> None:
    """Or the beginning of time; no traceback."""
    found = runner.invoke(app, ["sessions", "--since", since])
    assert found.exit_code == (0 if since.startswith("0001") else 2), found.output
    assert isinstance(found.exception, SystemExit | None)


def test_a_call_of_no_session_is_explained_by_the_id_it_is_listed_under() -> None:
    """What `sessions` lists, `explain` explains."""
    guard = Guard(app="bare")
    guard.model_call("gpt-4o-mini", prompt="x").post(Usage(input_tokens=9, output_tokens=1))
    guard.close()
    (row,) = document("sessions")["sessions"]
    assert document("explain", row["session"])["spend"]["call_count"] == 1
    assert document("explain")["session"] == row["session"]


def test_the_kill_switch_of_a_ledger_of_several_apps_asks_which(tmp_path: Path) -> None:
    """Stopping an app that nobody runs would stop nothing, and say it did."""
    url = f"sqlite:///{tmp_path / 'both.db'}"
    for name in ("one", "two"):
        guard = Guard(app=name, store=url)
        guard.model_call("gpt-4o-mini", prompt="x").void()
        guard.close()
    assert "one, two" in run("kill", "--reason", "x", "--store", url, code=2)
    assert "--app one" in run("kill", "--reason", "x", "--store", url, "--app", "one")
    assert [latch["scope"] for latch in document("trips", "--store", url)["latches"]] == ["app:one"]
    assert "several apps" in run("reset", "app", "--reason", "x", "--store", url, code=2)


def test_policy_check_looks_into_every_environment_and_notes_what_looks_misspelt() -> None:
    """A mistake in [env.prod] is found before production chooses it."""
    Path("runguard.toml").write_text("[env.prod]\nmode = 'enfroce'\n[env.dev]\nmode = 'off'")
    assert "with [env.prod]: mode: expected 'enforce'" in " ".join(run("policy", "check", code=2).split())
    Path("runguard.toml").write_text("[[budgets]]\nname = 'b'\nlimit = 1\nwhere = { agnet = 'x' }\n[env.dev]\nmode = 'off'")
    found = document("policy", "check")
    assert (found["environments"], len(found["notes"])) == (["dev"], 1)
    assert "did you mean 'agent'" in run("policy", "check")


def test_a_session_that_a_person_stopped_is_listed_as_stopped(ledger: Guard) -> None:
    """As one that a loop has stopped."""
    states = {row["session"]: row["state"] for row in document("sessions")["sessions"]}
    assert states["healthy"] == "finished"
    run("kill", "session:healthy", "--reason", "x")
    states = {row["session"]: row["state"] for row in document("sessions")["sessions"]}
    assert states["healthy"] == "stopped"


def test_a_ledger_without_calls_says_so_in_every_view() -> None:
    """No empty tables, no session called None."""
    Guard(app="empty").close()
    assert "No calls yet" in run("report")
    assert "No calls since then" in run("report", "--since", "1h")
    assert "No sessions yet" in run("sessions")
    assert "no call has been made yet" in run("explain", code=1)


def test_a_dimension_that_no_call_carries_is_said(ledger: Guard) -> None:
    """Most likely it is misspelt."""
    assert "No call carries 'agnet'" in " ".join(run("report", "--by", "agnet").split())
    assert "No call carries" not in run("report", "--by", "tag:tier")


def test_lines_to_paste_are_whole_on_any_terminal() -> None:
    """A folded line of TOML is none."""
    found = runner.invoke(app, ["prices", "no-such-model"], env={"COLUMNS": "40"})
    assert any('input_usd_per_mtok = "3", output_usd_per_mtok = "15"' in line for line in found.output.splitlines())


def test_help_shows_the_names_of_extras() -> None:
    """Square brackets are markup to the help's renderer."""
    assert "runguard-core[langchain]" in run("demo", "--help")
