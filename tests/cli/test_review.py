"""`runguard review` on a ledger of generated traffic: four reviews in four forms, the same bytes each time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runguard_core.cli._main import app
from runguard_core.stores import open_store
from runguard_core.testing import IncidentKind, draw_incident, make_traffic, write_traffic

START = datetime(2026, 8, 3, tzinfo=UTC)
WEEK = ("--at", "2026-09-09")
POLICY = """
app = "shop"
timezone = "Europe/Berlin"
require = ["feature", "owner"]
[[budgets]]
name = "feature-day"
limit = "4 USD"
per = ["feature"]
period = "day"
[features.ticket-triage]
owner = "fay"
[contacts.fay]
name = "Fay Wong"
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Six weeks of a shop, the reviewed one with an incident; a policy beside it."""
    from random import Random

    folder = tmp_path_factory.mktemp("review")
    incident = draw_incident(IncidentKind.MODEL_SWAP, "code-review", START + timedelta(days=36), Random(1))
    traffic = make_traffic(START, 42, seed=7, scale=0.15, incidents=[incident])
    store = open_store(f"sqlite:///{folder / 'l.db'}")
    write_traffic(store, traffic.calls, "shop")
    store.close()
    (folder / "runguard.toml").write_text(POLICY)
    (folder / "empty.toml").write_text('app = "shop"\n')
    return folder


def run(files: Path, *args: str, code: int = 0) -> str:
    """A command's output, 100 columns wide."""
    where = ["--store", f"sqlite:///{files / 'l.db'}", "--policy", str(files / "runguard.toml")]
    done = CliRunner().invoke(app, ["review", *args, *where], env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.parametrize("kind", ["weekly", "sprint", "quarter", "digest"])
def test_each_review_has_four_forms_and_the_same_bytes_each_time(files: Path, kind: str) -> None:
    """Text fits 100 columns; HTML is whole; JSON is one document."""
    for form in ("text", "markdown", "html", "json"):
        text = run(files, kind, *WEEK, "--format", form)
        assert text == run(files, kind, *WEEK, "--format", form)
        if form == "text":
            assert max(map(len, text.splitlines())) <= 100
            assert "too narrow" not in text
        elif form == "html":
            assert text.startswith("<!doctype html>")
            assert text.endswith("</html>\n")
            assert "://" not in text
        elif form == "json":
            assert json.loads(text) == json.loads(run(files, kind, *WEEK, "--json"))
        else:
            assert text.startswith("# LLM spend")


def test_the_week_shows_the_incident_its_owner_and_what_to_do(files: Path) -> None:
    """A swapped model: degrading, over its budget, the dearest opportunity is to go back."""
    found = json.loads(run(files, "weekly", *WEEK, "--json"))
    row = next(row for row in found["features"] if row["feature"] == "code-review")
    assert (row["verdict"], row["direction"], row["owner"]) == ("degrading", "up", "ben@example.com")
    assert "unusual model" in [one["kind"] for one in row["opportunities"]]
    assert found["coverage_ratio"]["feature"] == 1
    assert 0.5 < found["coverage_ratio"]["owner"] < 1
    assert sum(int(one["nanos"]) for one in found["features"]) == int(found["nanos"])
    assert sum(point["minutes"] for point in found["agenda"]) <= 15
    assert (found["first_day"], found["last_day"], found["start"][:19]) == ("2026-09-07", "2026-09-13", "2026-09-06T22:00:00")


def test_a_digest_goes_by_the_name_that_the_policy_gives(files: Path) -> None:
    """The policy's owner goes before the calls'; who owns nothing is an error that names those who do."""
    assert "LLM spend of Fay Wong" in run(files, "digest", *WEEK, "--owner", "fay")
    said = run(files, "digest", *WEEK, "--owner", "zoe", code=1)
    assert "zoe answers for no feature" in said
    assert "fay" in said


def test_a_review_can_be_written_to_a_file(files: Path, tmp_path: Path) -> None:
    """The same text as printed."""
    path = tmp_path / "week.html"
    run(files, "weekly", *WEEK, "--format", "html", "-o", str(path))
    assert path.read_text() == run(files, "weekly", *WEEK, "--format", "html")


def test_without_a_date_the_last_complete_week_is_reviewed(files: Path) -> None:
    """Whatever day it is; a date that is none is an error that says what one looks like."""
    found = json.loads(run(files, "weekly", "--json"))
    assert (
        datetime.fromisoformat(found["end"])
        <= datetime.now(UTC)
        < datetime.fromisoformat(found["end"]) + timedelta(days=7, hours=2)
    )
    assert "expected a date such as 2026-11-24, got 'monday'" in run(files, "weekly", "--at", "monday", code=2)
