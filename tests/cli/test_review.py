"""`runguard review` on a ledger of generated traffic: four reviews in four forms, the same bytes each time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runguard_core.alerts import read_outbox
from runguard_core.cli._main import app
from runguard_core.stores import open_store
from runguard_core.testing import IncidentKind, draw_incident, make_traffic, write_traffic
from tests.alerts.sinks import serving, status

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
    shares = {one["dimension"]: one["covered_ratio"] for one in found["coverage"]}
    assert shares["feature"] == 1
    assert 0.5 < shares["owner"] < 1
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


SENDING = """
app = "shop"
[alerts.channels.hook]
kind = "webhook"
url = "{url}"
allow_private = true
allow_http = true
[contacts."ana@example.com"]
channels = ["hook"]
[contacts.vp]
channels = ["hook"]
[features.search]
owner = "cleo"
[contacts.cleo]
channels = ["hook"]
"""


def sending(files: Path, tmp_path: Path, url: str, *args: str) -> tuple[int, str]:
    """`review ... --send` on a copy of the ledger, and what it says."""
    from shutil import copy

    ledger = tmp_path / "l.db"
    if not ledger.exists():
        copy(files / "l.db", ledger)
    (tmp_path / "send.toml").write_text(SENDING.format(url=url))
    where = ["--store", f"sqlite:///{ledger}", "--policy", str(tmp_path / "send.toml")]
    done = CliRunner().invoke(app, ["review", *args, *WEEK, "--send", *where], env={"COLUMNS": "100", "NO_COLOR": "1"})
    return done.exit_code, done.output


def test_a_review_is_sent_once_a_reader_and_period(files: Path, tmp_path: Path) -> None:
    """Over real HTTP; sent again it is not sent again; another week is another message."""
    with serving() as sink:
        assert sending(files, tmp_path, sink.url, "weekly", "--to", "vp", "--to", "ana@example.com")[0] == 0
        assert sorted(body["to"] for body in sink.bodies) == ["ana@example.com", "vp"]
        assert "LLM spend, week 2026-W37" in sink.bodies[0]["title"]
        assert "code-review" in sink.bodies[0]["text"]
        code, said = sending(files, tmp_path, sink.url, "weekly", "--to", "vp")
        assert (code, len(sink.requests)) == (0, 2)
        assert "to vp through hook: was sent before" in said
        assert sending(files, tmp_path, sink.url, "sprint", "--to", "vp")[0] == 0
        assert len(sink.requests) == 3


def test_a_digest_goes_to_its_owner_and_who_has_no_channel_is_named(files: Path, tmp_path: Path) -> None:
    """Each gets their own features only; the exit code says that somebody heard nothing."""
    with serving() as sink:
        code, said = sending(files, tmp_path, sink.url, "digest")
        bodies = {body["to"]: body["text"] for body in sink.bodies}
        assert sorted(bodies) == ["ana@example.com", "cleo"]
        assert "support-chat" in bodies["ana@example.com"]
        assert "support-chat" not in bodies["cleo"]
        assert code == 1
        assert "to ben@example.com through (no channel): not sent" in said


def test_a_destination_that_is_down_leaves_the_review_in_the_outbox(files: Path, tmp_path: Path) -> None:
    """Said with exit code 1; it waits there for the next try and is not queued twice."""
    with serving() as sink:
        sink.answers = [status(503)]
        code, said = sending(files, tmp_path, sink.url, "weekly", "--to", "vp")
        assert code == 1
        assert "not sent yet" in said
        store = open_store(f"sqlite:///{tmp_path / 'l.db'}")
        (message,) = read_outbox(store).values()
        assert (message.notice.level, message.try_count) == ("review", 1)
        store.close()
        assert "not sent, but in the outbox already" in sending(files, tmp_path, sink.url, "weekly", "--to", "vp")[1]
        assert len(sink.requests) == 1
