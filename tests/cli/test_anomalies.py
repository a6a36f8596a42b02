"""`runguard anomalies` on a ledger of generated traffic."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import events as ev
from runguard_core import open_store
from runguard_core.cli import _anomaly_life
from runguard_core.cli._main import app
from runguard_core.finops.owners import Case, acknowledged_event
from runguard_core.ledger import Event
from runguard_core.testing import FEATURES, Incident, IncidentKind, make_traffic, write_traffic

DAYS = 30


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A month of code reviews up to now, with a loop five days ago."""
    start = (datetime.now(UTC) - timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
    began = start + timedelta(days=DAYS - 5, hours=12)
    loop = Incident(kind=IncidentKind.TOOL_LOOP, feature="code-review", started_at=began, ended_at=began + timedelta(hours=1))
    traffic = make_traffic(start, DAYS, seed=5, features=[FEATURES[1]], incidents=[loop])
    found = f"sqlite:///{tmp_path / 'l.db'}"
    store = open_store(found)
    write_traffic(store, traffic.calls, "shop")
    store.close()
    return found


def run(*args: str, code: int = 0) -> str:
    """A command's output, 100 columns wide."""
    done = CliRunner().invoke(app, list(args), env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == code, done.output
    return done.output


def episodes(url: str, *more: str) -> list[dict[str, Any]]:
    """What --json says."""
    found: list[dict[str, Any]] = json.loads(run("anomalies", "--store", url, "--json", *more))["episodes"]
    return found


def test_looking_back_finds_the_loop_with_all_that_explains_it(url: str) -> None:
    """Start, end, expected, impact, severity, state."""
    loop = next(one for one in episodes(url) if "-loop" in one["evidence"])
    assert loop["feature"] == "code-review"
    assert loop["state"] == "closed"
    assert loop["is_announced"] is False
    assert loop["severity"] == "critical"
    assert int(loop["impact_nanos"]) > 10**9
    assert loop["started_at"] < loop["ended_at"]


def test_the_table_fits_a_hundred_columns_and_shows_the_days(url: str) -> None:
    """No line is cut, the picture has the feature's name."""
    text = run("anomalies", "--store", url)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    assert "code-review:" in text
    assert "▔" in text
    assert "critical" in text


def test_what_looking_back_found_can_be_filed_and_is_filed_once(url: str) -> None:
    """--record writes the events at the times of the episodes; a second time changes nothing."""
    before = episodes(url)
    run("anomalies", "--store", url, "--record")
    run("anomalies", "--store", url, "--record")
    store = open_store(url)
    opened = [event for event in store.events() if event.kind == ev.ANOMALY_OPENED]
    store.close()
    assert sorted(event.facts["episode"] for event in opened) == sorted(one["episode"] for one in before)
    assert all(one["is_announced"] for one in episodes(url))


def test_a_judgement_is_recorded_with_who_and_why(url: str) -> None:
    """As an event; the list shows it as the episode's state."""
    loop = next(one for one in episodes(url) if "-loop" in one["evidence"])["episode"]
    run("anomalies", "label", loop, "--as", "planned", "--by", "ana", "--reason", "load test", "--store", url)
    row = next(one for one in episodes(url) if one["episode"] == loop)
    assert (row["state"], row["by"], row["reason"]) == ("planned", "ana", "load test")
    assert "planned" in run("anomalies", "--store", url)


def test_an_anomaly_is_taken_in_hand_and_resolved_with_its_cause(url: str) -> None:
    """Once each; the list of anomalies says who has it and what it came from, with the times."""
    loop = next(one for one in episodes(url) if "-loop" in one["evidence"])["episode"]
    assert "in ana's hands" in run("anomaly", "ack", loop, "--by", "ana", "--note", "rolling back", "--store", url)
    assert "ana has it in hand, rolling back" in run("anomalies", "--store", url)
    assert "ana has acknowledged" in run("anomaly", "ack", loop, "--by", "ben", "--store", url, code=2)
    run("anomaly", "resolve", loop, "--cause", "a tool that retries", "--by", "ana", "--store", url)
    assert "said ana: a tool that retries" in run("anomaly", "resolve", loop, "--cause", "x", "--store", url, code=2)
    row = next(one for one in episodes(url) if one["episode"] == loop)["case"]
    assert (row["state"], row["cause"], row["resolved_by"]) == ("resolved", "a tool that retries", "ana")
    assert 0 < row["detect_seconds"] < 3600 < row["resolve_seconds"]
    text = run("anomaly", "list", "--store", url)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert f"{loop}: a tool that retries" in text
    assert json.loads(run("anomaly", "list", "--state", "open", "--store", url, "--json"))["cases"] == []


def test_of_two_who_act_at_once_the_second_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's act is filed between the look and the act."""
    loop = next(one for one in episodes(url) if "-loop" in one["evidence"])["episode"]

    def overtaken(case: Case, by: str, note: str, at: datetime) -> Event:
        store = open_store(url)
        store.announce([acknowledged_event(case, "ben", "", at)])
        store.close()
        return acknowledged_event(case, by, note, at)

    monkeypatch.setattr(_anomaly_life, "acknowledged_event", overtaken)
    assert "ben was first" in run("anomaly", "ack", loop, "--by", "ana", "--store", url, code=1)


def test_the_two_groups_name_each_other() -> None:
    """One shows, one acts."""
    assert "runguard anomaly" in run("anomalies", "--help")
    assert "runguard anomalies" in run("anomaly", "--help")


def test_mistakes_are_one_sentence(url: str) -> None:
    """An unknown episode, another label, no reason."""
    loop = next(one for one in episodes(url) if "-loop" in one["evidence"])["episode"]
    run("anomaly", "ack", "an-0", "--store", url, code=1)
    run("anomaly", "resolve", loop, "--cause", " ", "--store", url, code=2)
    run("anomalies", "label", "an-0", "--as", "false", "--reason", "x", "--store", url, code=1)
    run("anomalies", "label", loop, "--as", "fine", "--reason", "x", "--store", url, code=2)
    run("anomalies", "label", loop, "--as", "false", "--reason", " ", "--store", url, code=2)


def test_a_quiet_ledger_says_so(tmp_path: Path) -> None:
    """No table without rows."""
    store = open_store(f"sqlite:///{tmp_path / 'quiet.db'}")
    store.close()
    assert "Nothing stood out." in run("anomalies", "--store", f"sqlite:///{tmp_path / 'quiet.db'}")
