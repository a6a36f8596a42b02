"""`runguard ledger`: shipping, merging, and which ledgers a fleet's sums lack."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import Guard, Usage
from runguard_core.cli._app import app
from runguard_core.cli._main import PANELS
from runguard_core.fleet import LATE_AFTER, Standing, judge, stale
from runguard_core.ledger import CallFilter, Source
from runguard_core.stores import default_path, open_fleet, open_store
from runguard_core.testing._ledger_values import T0


def run(*words: str) -> Any:
    """The command line."""
    return CliRunner().invoke(app, list(words))


def a_ledger(name: str, cost_tokens: int = 1000) -> str:
    """A host's ledger with one call; its path."""
    guard = Guard(app=name)
    with guard.model_call("gpt-4o-mini", prompt="x") as call:
        call.post(Usage(input_tokens=cost_tokens, output_tokens=0))
    guard.close()
    return str(default_path(name))


def test_every_ledger_of_this_host_is_shipped_and_again_nothing_is_new(tmp_path: Path) -> None:
    """Without naming any."""
    a_ledger("one"), a_ledger("two")
    into = f"sqlite:///{tmp_path / 'fleet.db'}"
    first = json.loads(run("ledger", "ship", "--to", into, "--host", "web-1", "--json").stdout)
    assert [one["call_count"] for one in first["shipped"]] == [1, 1]
    again = run("ledger", "ship", "--to", into, "--host", "web-1")
    assert again.exit_code == 0
    assert again.stdout.count("web-1: nothing new") == 2
    fleet = open_store(into)
    assert {call.attribution.app for call in fleet.calls(CallFilter())} == {"one", "two"}
    fleet.close()


def test_files_are_merged_and_the_report_speaks_of_all_of_them(tmp_path: Path) -> None:
    """The command for copies of files."""
    files = [a_ledger("one"), a_ledger("two")]
    into = f"sqlite:///{tmp_path / 'all.db'}"
    assert run("ledger", "merge", *files, "--into", into).exit_code == 0
    report = json.loads(run("report", "--store", into, "--by", "app", "--json").stdout)
    assert {row["key"] for row in report["by"]["app"]} == {"one", "two"}
    assert report["total"]["nanos"] == "300000"


def test_what_is_missing_or_late_is_named_and_the_exit_code_says_so(tmp_path: Path) -> None:
    """One that never came, by host; in JSON and as a table."""
    a_ledger("one")
    into = f"sqlite:///{tmp_path / 'fleet.db'}"
    run("ledger", "ship", "--to", into, "--host", "web-1")
    fine = run("ledger", "sources", "--store", into, "--expect", "web-1")
    assert (fine.exit_code, "fresh" in fine.stdout) == (0, True)
    missing = run("ledger", "sources", "--store", into, "--expect", "web-1", "--expect", "web-2", "--json")
    assert missing.exit_code == 1
    assert [(one["name"], one["standing"]) for one in json.loads(missing.stdout)["sources"]] == [
        ("web-2", "missing"),
        ("web-1", "fresh"),
    ]
    assert run("ledger", "sources", "--store", into, "--late", "0.001s").exit_code in {0, 1}
    assert run("ledger", "sources", "--store", into, "--late", "7 USD").exit_code == 2


def test_mistakes_are_one_sentence_and_a_code(tmp_path: Path) -> None:
    """No ledger, a ledger into itself, a store that takes none in."""
    path = a_ledger("one")
    cases = [
        (("ship", "--to", f"sqlite:///{path}", "--store", f"sqlite:///{path}"), 2, "into itself"),
        (
            ("ship", "--to", f"sqlite:///{tmp_path / 'x.db'}", "--store", "sqlite:///nowhere.db"),
            3,
            "there is no ledger at nowhere.db",
        ),
        (("merge", "nowhere.db", "--into", f"sqlite:///{tmp_path / 'x.db'}"), 3, "there is no ledger"),
        (("ship", "--to", "memory://"), 3, "takes no other ledgers in"),
        (("sources", "--store", "sqlite:///nowhere.db"), 3, "there is no ledger"),
    ]
    for words, code, text in cases:
        done = run("ledger", *words)
        assert (done.exit_code, text in done.output.replace("\n", " ")) == (code, True), done.output


def test_late_is_what_was_not_shipped_for_longer_than_it_may() -> None:
    """To the instant; what was expected by id or place counts as there."""
    source = Source(ledger="L1", host="web-1", place="sqlite:///a.db", line=3, shipped_at=T0)
    assert stale(judge([source], ["web-1", "L1", "sqlite:///a.db"], T0 + LATE_AFTER)) == []
    late = judge([source], ["web-2", "web-2"], T0 + LATE_AFTER + timedelta(microseconds=1))
    assert [(one.name, one.standing) for one in late] == [("web-2", Standing.MISSING), ("web-1", Standing.LATE)]


@pytest.mark.parametrize("command", ["ship", "merge", "sources"])
def test_help_teaches_by_example(command: str) -> None:
    """And the group has its place in the table of commands."""
    done = run("ledger", command, "--help")
    assert "Example:" in done.stdout
    assert any("ledger" in names for names in PANELS.values())


def test_reports_name_the_ledgers_that_their_sums_lack(tmp_path: Path) -> None:
    """Late ones always, missing ones when they are expected; then the exit code says so too."""
    a_ledger("one")
    into = f"sqlite:///{tmp_path / 'fleet.db'}"
    run("ledger", "ship", "--to", into, "--host", "web-1")
    assert run("report", "--store", into, "--expect", "web-1").exit_code == 0
    missing = run("report", "--store", into, "--expect", "web-2")
    assert (missing.exit_code, "web-2 has never been shipped here" in missing.stderr) == (1, True)
    fleet = open_fleet(into)
    (source,) = fleet.sources()
    fleet._remember(replace(source, shipped_at=T0))  # type: ignore[attr-defined]
    fleet.close()
    for command in ("report", "budget"):
        late = run(command, "--store", into, "--json")
        assert "web-1 was shipped last at 2026-11-24 12:00 UTC" in late.stderr
        assert [one["standing"] for one in json.loads(late.stdout)["sources"]] == ["late"]
        assert late.exit_code == 0
