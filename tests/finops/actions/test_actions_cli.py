"""`runguard actions` on a ledger of generated traffic."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core.cli._main import app
from runguard_core.stores import open_store
from runguard_core.testing import FEATURES, Incident, IncidentKind, make_traffic, write_traffic

DAYS = 63


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine weeks of search up to now; its prompt was twice too long in the first five."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=DAYS + today.weekday())
    incident = Incident(
        kind=IncidentKind.PROMPT_REGRESSION, feature="search", started_at=start, ended_at=start + timedelta(days=35)
    )
    traffic = make_traffic(start, DAYS, seed=4, scale=0.15, features=[FEATURES[2]], incidents=[incident])
    file = tmp_path_factory.mktemp("actions") / "l.db"
    store = open_store(f"sqlite:///{file}?leases=off")
    write_traffic(store, traffic.calls, "shop")
    store.close()
    return file


@pytest.fixture
def url(ledger: Path, tmp_path: Path) -> str:
    """A ledger of each test's own."""
    copy = tmp_path / "l.db"
    copy.write_bytes(ledger.read_bytes())
    return f"sqlite:///{copy}"


def run(url: str, *args: str, code: int = 0) -> str:
    """What a command prints, 100 columns wide."""
    env = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = CliRunner().invoke(app, ["actions", *args, "--store", url], env=env)
    assert done.exit_code == code, done.output
    return done.output


def json_of(url: str, *args: str) -> dict[str, Any]:
    """The same as JSON."""
    found: dict[str, Any] = json.loads(run(url, *args, "--json"))
    return found


def test_from_a_promise_to_a_win(url: str) -> None:
    """Added once, done as of the day it was shipped, measured with an interval, credited."""
    title = "Shorten the system prompt"
    added = json_of(url, "add", title, "--feature", "search", "--owner", "ana", "--size", "large")
    action_id = added["action"]["id"]
    assert added["action"]["check_on"] is not None
    assert json_of(url, "add", title, "--feature", "search", "--owner", "ben")["is_new"] is False
    run(url, "change", action_id, "--checked", "--reason", "the first half is out")
    shipped = (datetime.now(UTC) - timedelta(days=28 + datetime.now(UTC).weekday())).date().isoformat()
    run(url, "done", action_id, "--shipped", shipped, "--credit", "cleo")
    (win,) = json_of(url, "measure", action_id)["wins"]
    assert win["action"]["credit"] == "cleo"
    assert 0 < int(win["saving"]["low_nanos"]) < int(win["saving"]["saved_nanos"]) < int(win["saving"]["high_nanos"])
    page = run(url, "measure")
    assert "cleo" in page
    assert title.split(maxsplit=1)[0] in page
    assert max(map(len, page.splitlines())) <= 100
    assert "Cost per session fell" in run(url, "measure", "--claim")


def test_turnover_leaves_nothing_without_an_owner(url: str) -> None:
    """Every open action of a person goes to another one, with the reason; ended ones stay whose they were."""
    run(url, "add", "one", "--owner", "ana")
    run(url, "add", "two", "--owner", "ana", "--deadline", "2026-01-05")
    dropped = json_of(url, "add", "three", "--owner", "ana")["action"]["id"]
    run(url, "drop", dropped, "--reason", "the feature is retired")
    run(url, "change", "--all-of", "ana", "--owner", "ben", "--reason", "ana has moved to billing")
    rows = {row["title"]: row for row in json_of(url, "list", "--all")["actions"]}
    assert {title: row["owner"] for title, row in rows.items()} == {"one": "ben", "two": "ben", "three": "ana"}
    assert rows["one"]["steps"][-1]["reason"] == "ana has moved to billing"
    assert [row["title"] for row in json_of(url, "list", "--overdue")["actions"]] == ["two"]
    assert "overdue" in run(url, "list", "--owner", "ben")


def test_mistakes_are_sentences(url: str) -> None:
    """No owner, no such action, a date that is none, a day to come, an ended action."""
    assert "--owner NAME" in run(url, "add", "x", "--feature", "search", code=2)
    assert "runguard actions list --all" in " ".join(run(url, "drop", "ac-0", "--reason", "x", code=1).split())
    assert "2026-12-20" in run(url, "add", "x", "--owner", "ana", "--deadline", "soon", code=2)
    action_id = json_of(url, "add", "x", "--owner", "ana")["action"]["id"]
    assert "yet to come" in run(url, "done", action_id, "--shipped", "2999-01-01", code=2)
    assert "say what changes" in run(url, "change", action_id, "--reason", "x", code=2)
    assert "--all-of" in run(url, "change", "--reason", "x", "--owner", "ben", code=2)
    run(url, "drop", action_id, "--reason", "no")
    assert "stays so" in run(url, "done", action_id, code=1)


def test_the_owner_is_the_policys_and_dates_are_its_calendars(url: str, tmp_path: Path) -> None:
    """Whoever answers for the feature promises it, unless somebody else is named."""
    policy = tmp_path / "runguard.toml"
    policy.write_text('app = "shop"\ntimezone = "Asia/Tokyo"\n[features.search]\nowner = "ana"\n[calendar]\nsprint_days = 7\n')
    action = json_of(url, "add", "x", "--feature", "search", "--policy", str(policy))["action"]
    assert action["owner"] == "ana"
    assert datetime.fromisoformat(action["deadline"]).date() < (datetime.now(UTC) + timedelta(days=15)).date()
    run(url, "done", action["id"], "--shipped", "2026-01-05", "--policy", str(policy))
    (row,) = json_of(url, "list", "--all")["actions"]
    assert row["shipped_at"] == "2026-01-04T15:00:00+00:00"
