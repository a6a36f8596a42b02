"""A guard under a policy with alerts: who is told what, and that no call waits for it."""

from __future__ import annotations

import os
import re
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runguard_core import Guard, StoppedError, ToolCall
from runguard_core.alerts import NOWHERE, State, read_outbox
from runguard_core.errors import PolicyError
from runguard_core.policy import Policy, load_policy
from runguard_core.stores import open_store
from tests.alerts.sinks import Sink, status

POLICY = """
app = "shop"
[contacts.ana]
channels = ["ana"]
[features.search]
owner = "ana"
team = "discovery"
runbook = "https://wiki.example.com/search"
[teams.discovery]
channels = ["team"]
[features.orphan]
[alerts]
default = ["ops"]
[alerts.channels.ana]
kind = "webhook"
url_env = "SINK"
secret_env = "SINK_KEY"
allow_private = true
allow_http = true
[alerts.channels.team]
kind = "slack"
url_env = "SINK"
allow_private = true
allow_http = true
[alerts.channels.ops]
kind = "pagerduty"
routing_key_env = "PD_KEY"
url = "{url}"
allow_private = true
allow_http = true
"""


def policy(tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch, more: str = "") -> Policy:
    for name, value in {"SINK": sink.url, "SINK_KEY": "key-of-the-sink", "PD_KEY": "R" * 32}.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "runguard.toml"
    file.write_text(POLICY.replace("{url}", sink.url) + more)
    return load_policy(file)


def loop(guard: Guard, feature: str, session: str) -> None:
    """An agent that calls the same tool for ever, until it is stopped."""
    with guard.session(session, feature=feature, agent="planner"), pytest.raises(StoppedError):
        for _ in range(10):
            call = guard.reserve(ToolCall(name="web_search", arguments={"q": "x"}))
            call.post(result="nothing")


def test_a_trip_reaches_the_owner_and_the_team_once_a_day(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    with policy(tmp_path, sink, monkeypatch).guard() as guard:
        loop(guard, "search", "s-1")
        sink.wait_for(2)
        loop(guard, "search", "s-2")
    by_webhook = next(body for body in sink.bodies if "id" in body)
    assert (by_webhook["to"], by_webhook["level"], by_webhook["scope"]["team"]) == ("ana", "owner", "discovery")
    assert by_webhook["title"] == "search, planner: stopped by rule repeat"
    assert by_webhook["links"][0]["href"] == "https://wiki.example.com/search"
    assert len(sink.requests) == 2, "of the same stop the first of a day is sent"


def test_what_nobody_owns_goes_to_the_default_channel_and_says_so(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    with policy(tmp_path, sink, monkeypatch).guard() as guard:
        loop(guard, "orphan", "s-1")
        sink.wait_for(1)
    (event,) = sink.bodies
    assert (event["routing_key"], event["event_action"], event["payload"]["custom_details"]["to"]) == (
        "R" * 32,
        "trigger",
        "unowned",
    )
    assert "Nobody owns this" in event["payload"]["custom_details"]["text"]


def test_without_any_channel_a_notice_is_listed(tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = policy(tmp_path, sink, monkeypatch)
    (tmp_path / "runguard.toml").write_text(POLICY.replace('default = ["ops"]', "").replace("{url}", sink.url))
    loaded = load_policy(tmp_path / "runguard.toml")
    with loaded.guard() as guard:
        loop(guard, "orphan", "s-1")
    opened = open_store(guard.store.url)
    (message,) = read_outbox(opened).values()
    assert (message.channel, message.state(datetime.now(UTC)), sink.requests) == (NOWHERE, State.WAITING, [])
    opened.close()


def test_closing_delivers_what_is_there_and_waits_for_nothing_else(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    guard = policy(tmp_path, sink, monkeypatch).guard()
    loop(guard, "search", "s-1")
    guard.close()
    assert len(sink.requests) == 2
    assert [thread for thread in threading.enumerate() if thread.name == "runguard-alerts"] == []


def test_a_call_does_not_wait_for_a_destination_that_hangs(tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls all end while the destination still keeps the delivery waiting; what it leaves unanswered is listed."""
    sink.answers = [sink.hangs] * 5
    guard = policy(tmp_path, sink, monkeypatch).guard()
    loop(guard, "search", "s-1")
    sink.wait_for(1)
    with guard.session("s-2", feature="search"):
        for number in range(50):
            guard.reserve(ToolCall(name="fetch", arguments={"n": number})).post(result=str(number))
    assert len(sink.requests) == 1, "all of them were made meanwhile"
    sink.over.set()
    guard.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_delivers_for_itself(tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    with policy(tmp_path, sink, monkeypatch).guard() as guard:
        loop(guard, "search", "s-1")
        sink.wait_for(2)
        child = os.fork()
        if child == 0:
            try:
                loop(guard, "orphan", "s-2")
                guard.flush()
                guard.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert len(sink.requests) == 3


def test_a_policy_without_alerts_starts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "runguard.toml"
    file.write_text('app = "shop"\n')
    with load_policy(file).guard(store="memory://"):
        assert [thread for thread in threading.enumerate() if thread.name == "runguard-alerts"] == []


def test_the_examples_of_the_page_are_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "finops" / "alerts.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert blocks
    for block in blocks:
        (tmp_path / "runguard.toml").write_text(block)
        assert load_policy().alerting.channels["ops"].missing == "environment variable SLACK_WEBHOOK is not set"


MISTAKES = {
    '[alerts]\ndefault = ["nope"]': "alerts.default: expected a channel of",
    '[contacts.ana]\nchannels = ["nope"]\n[alerts]\ndefault = ["mailto://x"]': "contacts.ana.channels: expected a channel of",
    '[alerts.channels.x]\nkind = "slack"\nurl = "https://hooks.slack.com/x"': "alerts.channels.x.url_env: expected the environment",
    '[alerts.channels.x]\nkind = "pagerduty"': "alerts.channels.x.routing_key_env: expected",
    '[alerts.channels.x]\nkind = "webhook"': "alerts.channels.x.url: expected one of",
    '[alerts.channels.x]\nkind = "webhook"\nurl = "https://x"\nrouting_key_env = "K"': "is for kind pagerduty",
    '[alerts.channels.x]\nkind = "pigeon"': "alerts.channels.x.kind: expected",
    '[alerts.channels.x]\nkind = "webhook"\nurl = "https://x"\nsecret = "s"': "alerts.channels.x.secret: unknown key",
    '[alerts]\non = ["trips"]': "alerts.on: unknown key",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "runguard.toml"
    file.write_text(text)
    with pytest.raises(PolicyError) as caught:
        load_policy(file)
    assert MISTAKES[text] in str(caught.value)


def test_a_missing_variable_is_said_and_stops_no_guard(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    loaded = policy(tmp_path, sink, monkeypatch)
    monkeypatch.delenv("SINK_KEY")
    sink.answers = [status(200)]
    with loaded.guard() as guard:
        loop(guard, "search", "s-1")
    assert "alerts to ana wait: environment variable SINK_KEY is not set" in caplog.text
    assert [message.state(datetime.now(UTC)) for message in read_outbox(open_store(guard.store.url)).values()].count(
        State.SENT
    ) == 1
