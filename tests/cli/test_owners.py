"""`runguard owners` on a ledger of generated traffic."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runguard_core import events as ev
from runguard_core import open_store
from runguard_core.cli._main import app
from runguard_core.ledger import CallFilter
from runguard_core.testing import make_traffic, write_traffic

POLICY = """
app = "shop"
[attribution.team]
allowed = ["care", "platform", "discovery", "insights"]
[contacts."cleo@example.com"]
name = "Cleo Roy"
[features.search]
owner = "cleo@example.com"
runbook = "https://example.com/search"
production = true
[teams.care]
lead = "lou@example.com"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A week of the shop up to now, and its policy."""
    folder = tmp_path_factory.mktemp("owners")
    url, policy = f"sqlite:///{folder / 'l.db'}", folder / "runguard.toml"
    policy.write_text(POLICY)
    store = open_store(url)
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=7)
    write_traffic(store, make_traffic(start, 7, seed=3, scale=0.2).calls, "shop")
    store.close()
    return url, str(policy)


def run(place: tuple[str, str], *args: str, code: int = 0) -> str:
    """A command's output, 100 columns wide."""
    where = ["--store", place[0], "--policy", place[1]]
    done = CliRunner().invoke(app, [*args, *where], env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == code, done.output
    return done.output


def test_nobodys_features_are_first_and_the_table_fits(place: tuple[str, str]) -> None:
    """With how much that is, what production lacks, what is not in the policy, and the coverage."""
    text = run(place, "owners", "--tokens")
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[2].startswith("ticket-triage")
    assert "nobody" in lines[2]
    assert "Cleo Roy" in text
    assert "of spend is nobody's: name an owner under [features.NAME]" in text
    assert "search, searcher is in production and lacks: deputy" in text
    assert "not in the policy: team discovery, growth, insights, platform" in text
    assert "with a value that is not allowed: growth" in text
    assert "Tokens: of a call by the mean" in text


def test_check_fails_until_production_has_its_people(place: tuple[str, str], tmp_path: Path) -> None:
    """Exit code 1, then 0."""
    run(place, "owners", "--check", code=1)
    whole = tmp_path / "whole.toml"
    whole.write_text(POLICY.replace("production = true", 'production = true\ndeputy = "ben@example.com"'))
    run((place[0], str(whole)), "owners", "--check")


def test_json_says_the_same(place: tuple[str, str]) -> None:
    """Amounts as strings of nano-USD."""
    found = json.loads(run(place, "owners", "--json", "--tokens"))
    rows = {row["feature"]: row for row in found["rows"]}
    assert (rows["search"]["owner_from"], rows["search"]["lacks"]) == ("policy", ["deputy"])
    assert (rows["code-review"]["owner"], rows["code-review"]["owner_from"]) == ("ben@example.com", "calls")
    assert int(rows["ticket-triage"]["cost_nanos"]) > 0
    assert found["coverage"][0]["dimension"] == "team"
    assert {row["agent"] for row in found["tokens"]} >= {"reviewer", "searcher"}


def test_trips_and_incidents_name_owner_and_runbook(place: tuple[str, str]) -> None:
    """Beside the latest stops; of an incident on standard error, because its file is for tickets and tests."""
    store = open_store(place[0])
    who = store.calls(CallFilter(app="shop", agent="searcher", limit=1))[0].attribution
    store.announce([ev.event(ev.RUN_TRIPPED, ev.STOP, "the same call 3 times", who, datetime.now(UTC), rule="repeat")])
    store.close()
    said = "search, searcher: owner cleo@example.com, runbook https://example.com/search"
    assert said in run(place, "trips")
    done = CliRunner().invoke(app, ["incident", "--store", place[0], "--policy", place[1]])
    assert (said in done.stderr, said in done.stdout, done.exit_code) == (True, False, 0)
    assert json.loads(run(place, "trips", "--json"))["answering"][0]["runbook"] == "https://example.com/search"
