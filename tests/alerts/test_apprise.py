"""Apprise, over its own JSON service against a real sink."""

from __future__ import annotations

import json
import sys

import pytest

from runguard_core.alerts import Message, Result, message_id
from runguard_core.alerts._answers import judged
from runguard_core.alerts._sending import send
from tests.alerts.sinks import Sink, dropped, status
from tests.alerts.values import T0, a_channel, a_notice

pytest.importorskip("apprise", reason="the extra `alerts` is not installed here")


def a_message() -> Message:
    notice = a_notice()
    return Message(id=message_id(notice, "ops"), app="shop", channel="ops", notice=notice, queued_at=T0)


def url_of(sink: Sink) -> str:
    return sink.url.replace("http://", "json://user:s3cr3t-s3cr3t@")


def test_a_message_arrives_with_what_there_is_to_say(sink: Sink) -> None:
    found = judged(send(a_channel(url_of(sink), "apprise"), a_message(), T0), T0)
    assert found.result is Result.SENT
    (body,) = [json.loads(body) for _, body in sink.requests]
    assert body["title"] == "🟠 search: a run was stopped"
    assert "agent: planner" in body["message"]
    assert body["type"] == "failure"


def test_an_answer_is_told_from_silence(sink: Sink) -> None:
    sink.answers = [status(500), status(404), dropped, status(302, Location=sink.url)]
    channel = a_channel(url_of(sink), "apprise")
    found = [judged(send(channel, a_message(), T0), T0) for _ in range(4)]
    assert [one.result for one in found] == [Result.FAILED, Result.FAILED, Result.UNKNOWN, Result.FAILED]
    assert [one.is_final for one in found] == [False, True, False, True]
    assert len(sink.requests) == 4, "no redirect is followed"
    assert "s3cr3t" not in repr(found)


def test_a_destination_that_drips_keeps_nobody(sink: Sink) -> None:
    sink.answers = [sink.drips]
    found = judged(send(a_channel(url_of(sink), "apprise", timeout_seconds=0.3), a_message(), T0), T0)
    assert (found.result, found.reason) == (Result.UNKNOWN, "sent, but no answer: Apprise was not done in 0.6 s")


@pytest.mark.parametrize("allowed", [{"allow_private": False}, {"allow_http": False}])
def test_a_host_in_the_url_is_checked(sink: Sink, allowed: dict[str, bool]) -> None:
    answer = send(a_channel(url_of(sink), "apprise", **allowed), a_message(), T0)
    assert (answer.is_final, sink.requests) == (True, [])
    assert f"{next(iter(allowed))} = true" in answer.words


def test_what_apprise_does_not_know_and_apprise_that_is_not_there_are_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = send(a_channel("pigeon://s3cr3t", "apprise"), a_message(), T0)
    assert (answer.is_final, answer.words) == (True, "Apprise does not understand its URL")
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert "pip install 'runguard-core[alerts]'" in send(a_channel("pigeon://s3cr3t", "apprise"), a_message(), T0).words
