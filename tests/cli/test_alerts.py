"""`runguard alerts` against a real destination."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runguard_core.alerts import CLAIM_SECONDS, queue, read_outbox
from runguard_core.alerts._outbox import tried_event
from runguard_core.cli._main import app
from runguard_core.ledger import EventFilter, Store
from runguard_core.policy import load_policy
from runguard_core.stores import open_store
from tests.alerts.sinks import Sink, serving, status
from tests.alerts.values import a_notice

POLICY = """
app = "shop"
store = "sqlite:///{ledger}"
[alerts]
default = ["ops"]
[alerts.channels.ops]
kind = "slack"
url_env = "SINK"
allow_private = true
allow_http = true
[alerts.channels.pager]
kind = "pagerduty"
url = "{url}"
routing_key_env = "PD_KEY"
allow_private = true
allow_http = true
"""


@pytest.fixture
def sink() -> Iterator[Sink]:
    with serving() as found:
        yield found


@pytest.fixture
def store(tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A ledger under a policy in ./runguard.toml."""
    monkeypatch.setenv("SINK", sink.url)
    (tmp_path / "runguard.toml").write_text(POLICY.format(ledger=tmp_path / "l.db", url=sink.url))
    opened = open_store(f"sqlite:///{tmp_path / 'l.db'}")
    yield opened
    opened.close()


def run(*args: str, code: int = 0) -> str:
    """A command's output, 100 columns wide."""
    done = CliRunner().invoke(app, ["alerts", *args], env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == code, done.output
    return done.output


def test_a_test_says_what_the_destination_answered(store: Store, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    sink.answers = [status(200, "ok"), status(404, "no_service")]
    assert run("test", "ops") == "ops (slack): delivered; answered 200: ok\n"
    assert run("test", "ops", code=1) == "ops (slack): not delivered; answered 404: no_service\n"
    assert "environment variable PD_KEY is not set" in run("test", "--all", code=1)
    monkeypatch.setenv("PD_KEY", "R" * 32)
    found = json.loads(run("test", "pager", "--json"))
    assert found["tests"] == [{"channel": "pager", "kind": "pagerduty", "result": "sent", "reason": "answered 200: ok"}]
    opened, resolved = sink.bodies[-2:]
    assert (opened["event_action"], resolved["event_action"], opened["payload"]["severity"]) == ("trigger", "resolve", "info")
    assert opened["dedup_key"] == resolved["dedup_key"]
    assert store.events(EventFilter()) == (), "a test is no message of the outbox"


def test_a_channel_that_is_none_is_said(store: Store) -> None:
    assert "no channel 'nope'" in run("test", "nope", code=2)
    assert "name one channel, or say --all" in run("test", code=2)


def test_what_is_left_is_listed_with_its_reason_and_sent_when_a_person_says_so(store: Store, sink: Sink) -> None:
    now = datetime.now(UTC)
    lost = now - timedelta(seconds=CLAIM_SECONDS + 1)
    queue(store, a_notice("waits", at=now), "ops")
    queue(store, a_notice("lost", at=lost), "ops")
    queue(store, a_notice("elsewhere", at=now), "gone")
    waiting, perhaps, elsewhere = read_outbox(store).values()
    store.announce([tried_event(perhaps, lost, "a dead process", is_repeatable=False)])
    text = run("list", "--undelivered")
    assert "perhaps delivered" in text
    assert f"{perhaps.id}: the process that sent it ended before it had an answer" in text
    assert f"{elsewhere.id}: this policy has no channel gone" in text
    assert "runguard alerts retry MESSAGE" in text
    assert run("retry", perhaps.id) == f"{perhaps.id} to ops: sent; delivered\n"
    assert "was delivered before" in run("retry", perhaps.id)
    assert len(sink.requests) == 1
    text = run("retry", "--all", code=1)
    assert f"{waiting.id} to ops: sent; delivered" in text
    assert "1 message left" in text
    assert len(sink.requests) == 2
    found = json.loads(run("list", "--json"))["messages"]
    assert {one["id"]: one["state"] for one in found} == {
        waiting.id: "sent", perhaps.id: "sent", elsewhere.id: "waiting",
    }  # fmt: skip
    assert "no message 'nope'" in run("retry", "nope", code=1)


def test_what_another_process_is_sending_is_left_to_it(store: Store, sink: Sink) -> None:
    queue(store, a_notice(at=datetime.now(UTC)), "ops")
    (message,) = read_outbox(store).values()
    store.announce([tried_event(message, datetime.now(UTC), "somebody", is_repeatable=False)])
    assert "somebody is sending it" in run("retry", message.id, code=1)
    assert sink.requests == []


def test_what_no_process_lived_to_queue_is_listed_and_can_be_sent(store: Store, sink: Sink) -> None:
    load_policy().guard().close()  # alerts are on from now
    CliRunner().invoke(app, ["kill", "agent:planner", "--reason", "runaway"])  # a command line delivers nothing
    assert read_outbox(store) == {}
    (one,) = json.loads(run("list", "--json"))["messages"]
    assert (one["state"], one["title"]) == ("waiting", "unowned: agent planner was stopped: runaway")
    assert "sent; delivered" in run("retry", "--all")
    assert len(sink.requests) == 1
    assert run("list", "--undelivered") == "Everything was delivered.\n"
