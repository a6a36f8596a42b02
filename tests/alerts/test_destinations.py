"""Destinations that fail, time out, redirect, ask for patience, drip, are not there: each message arrives once or is listed."""

from __future__ import annotations

import socket
import time
from datetime import timedelta

import pytest

from runguard_core.alerts import Alerting, Delivery, Message, State, queue, read_outbox
from runguard_core.finops.owners import Step, Urgency
from runguard_core.ledger import EventFilter, Store
from tests.alerts.sinks import Answer, Sink, dropped, status
from tests.alerts.values import T0, Hands, a_channel, a_notice, later


def office(store: Store, sink: Sink | str, clock: Hands, **channel: object) -> Delivery:
    """Delivery without its thread: the test says when it looks."""
    url = sink if isinstance(sink, str) else sink.url
    one = a_channel(url, **channel)  # type: ignore[arg-type]
    return Delivery(store, "shop", Alerting(channels={one.name: one}), clock)


def only(store: Store) -> Message:
    (found,) = read_outbox(store).values()
    return found


def test_what_is_due_is_sent_once(store: Store, sink: Sink) -> None:
    queue(store, a_notice(), "ops")
    delivery = office(store, sink, Hands())
    delivery.look()
    delivery.look()
    assert list(sink.ids().values()) == [1]
    assert only(store).state(T0) is State.SENT


@pytest.mark.parametrize("code", [500, 503, 529, 429, 425])
def test_a_refusal_is_tried_again_later_and_then_arrives_once(store: Store, sink: Sink, code: int) -> None:
    sink.answers = [status(code, "busy")]
    queue(store, a_notice(), "ops")
    clock = Hands()
    delivery = office(store, sink, clock)
    delivery.look()
    assert only(store).state(T0) is State.WAITING
    assert only(store).reason(T0) == f"answered {code}: busy"
    delivery.look()
    assert len(sink.requests) == 1, "not before it is due"
    clock.move(13)
    delivery.look()
    assert (len(sink.requests), only(store).state(clock.now())) == (2, State.SENT)


def test_retry_after_is_kept_for_the_whole_channel(store: Store, sink: Sink) -> None:
    sink.answers = [status(429, Retry_After="120")]
    queue(store, a_notice("an-1"), "ops")
    queue(store, a_notice("an-2"), "ops")
    clock = Hands()
    delivery = office(store, sink, clock)
    wait = delivery.look()
    assert len(sink.requests) == 1, "the other message waits too"
    assert wait <= 15
    clock.move(119)
    delivery.look()
    assert len(sink.requests) == 1
    clock.move(2)
    delivery.look()
    assert sorted(sink.ids().values()) == [1, 2], "one was refused, then both arrived"
    assert {message.state(clock.now()) for message in read_outbox(store).values()} == {State.SENT}


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_redirects_are_not_followed(store: Store, sink: Sink, code: int) -> None:
    sink.answers = [status(code, Location="http://127.0.0.1:1/elsewhere?token=abc")]
    queue(store, a_notice(), "ops")
    office(store, sink, Hands()).look()
    assert (len(sink.requests), only(store).state(T0)) == (1, State.UNDELIVERED)
    assert "redirects are not followed" in only(store).reason(T0)
    assert "token" not in only(store).reason(T0)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_what_is_refused_for_good_is_listed_at_once(store: Store, sink: Sink, code: int) -> None:
    sink.answers = [status(code)]
    queue(store, a_notice(), "ops")
    office(store, sink, Hands()).look()
    assert only(store).state(T0) is State.UNDELIVERED


def nothing_listens() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/hook"


@pytest.mark.parametrize("kind", ["webhook", "slack"])
def test_a_destination_that_is_away_is_tried_until_it_is_given_up(store: Store, kind: str) -> None:
    queue(store, a_notice(), "ops")
    clock = Hands()
    delivery = office(store, nothing_listens(), clock, kind=kind)
    for _ in range(40):
        delivery.look()
        clock.move(3600)
    found = only(store)
    assert (found.state(clock.now()), found.try_count) == (State.UNDELIVERED, 9)
    assert "refused" in found.reason(clock.now())
    assert "(try 9, the last one)" in found.reason(clock.now())


HANGS = ["hangs", "drips", "dropped", "504"]


def trouble(sink: Sink, name: str) -> Answer:
    return {"hangs": sink.hangs, "drips": sink.drips, "dropped": dropped, "504": status(504)}[name]


@pytest.mark.parametrize("name", HANGS)
def test_what_may_have_arrived_is_listed_where_the_destination_would_not_know_it_again(
    store: Store, sink: Sink, name: str
) -> None:
    sink.answers = [trouble(sink, name)]
    queue(store, a_notice(), "ops")
    clock = Hands()
    delivery = office(store, sink, clock, kind="slack", timeout_seconds=0.5)
    delivery.look()
    assert only(store).state(T0) is State.PERHAPS
    clock.move(86_400)
    delivery.look()
    assert len(sink.requests) == 1, "a person decides whether it goes out again"


@pytest.mark.parametrize("name", HANGS)
def test_what_may_have_arrived_is_sent_again_where_the_destination_knows_it_again(store: Store, sink: Sink, name: str) -> None:
    sink.answers = [trouble(sink, name)]
    queue(store, a_notice(), "ops")
    clock = Hands()
    delivery = office(store, sink, clock, timeout_seconds=0.5)
    delivery.look()
    clock.move(13)
    delivery.look()
    assert only(store).state(clock.now()) is State.SENT
    assert len({headers["Idempotency-Key"] for headers, _ in sink.requests}) == 1
    assert len(sink.requests) == 2


def test_no_more_than_the_limit_goes_out_in_a_minute_and_the_most_urgent_first(store: Store, sink: Sink) -> None:
    for number in range(5):
        queue(store, a_notice(f"an-{number}", urgency=Urgency.INFO), "ops")
    queue(store, a_notice("page", urgency=Urgency.CRITICAL), "ops")
    clock = Hands()
    delivery = office(store, sink, clock, per_minute_count=2)
    counts = []
    for _ in range(4):
        delivery.look()
        counts.append(len(sink.requests))
        clock.move(61)
    assert counts == [2, 4, 6, 6]
    assert sink.bodies[0]["severity"] == "critical"


@pytest.mark.parametrize("channel", [{"allow_private": False}, {"allow_http": False}])
def test_private_addresses_and_plain_http_are_for_those_who_ask(store: Store, sink: Sink, channel: dict[str, bool]) -> None:
    queue(store, a_notice(), "ops")
    office(store, sink, Hands(), **channel).look()
    assert (sink.requests, only(store).state(T0)) == ([], State.UNDELIVERED)
    assert f"{next(iter(channel))} = true" in only(store).reason(T0)


def test_a_channel_without_its_secret_claims_nothing(store: Store, sink: Sink) -> None:
    queue(store, a_notice(), "ops")
    office(store, sink, Hands(), missing="environment variable KEY is not set").look()
    assert (only(store).try_count, only(store).state(T0)) == (0, State.WAITING)
    office(store, sink, Hands()).look()
    assert only(store).state(T0) is State.SENT, "a process that has it delivers"


def test_nothing_that_is_secret_is_written(store: Store, sink: Sink) -> None:
    sink.answers = [status(500, "no such path /hook/T0KEN-T0KEN, key hush-hush-hush"), dropped]
    queue(store, a_notice(), "ops")
    clock = Hands()
    delivery = office(store, f"{sink.url}/T0KEN-T0KEN?sig=S1GN4TURE", clock, secret="hush-hush-hush")
    delivery.look()
    clock.move(13)
    delivery.look()
    written = repr(store.events(EventFilter())) + repr(a_channel("https://x.example/T0KEN-T0KEN", secret="hush-hush-hush"))
    assert len(sink.requests) == 2
    assert [word for word in ("T0KEN-T0KEN", "hush-hush", "S1GN4TURE") if word in written] == []


def test_an_ending_does_not_overtake_its_beginning(store: Store, sink: Sink) -> None:
    sink.answers = [status(500)]
    queue(store, a_notice(), "ops")
    queue(store, a_notice(step=Step.RESOLVE, urgency=Urgency.CRITICAL, at=later(1)), "ops")
    clock = Hands(later(1))
    delivery = office(store, sink, clock)
    for _ in range(3):
        delivery.look()
        clock.move(13)
    assert [body["type"].rpartition(".")[2] for body in sink.bodies] == ["trigger", "trigger", "resolve"]


def test_what_is_older_than_two_weeks_is_left_to_a_person(store: Store, sink: Sink) -> None:
    queue(store, a_notice(), "ops")
    office(store, sink, Hands(T0 + timedelta(days=15))).look()
    assert (sink.requests, only(store).state(T0 + timedelta(days=15))) == ([], State.UNDELIVERED)


def test_closing_cuts_a_destination_that_hangs_and_lists_what_it_had(store: Store, sink: Sink) -> None:
    sink.answers = [sink.hangs]
    queue(store, a_notice("an-1"), "ops")
    queue(store, a_notice("an-2"), "ops")
    delivery = office(store, sink, Hands(), kind="slack", timeout_seconds=60.0)
    delivery.start()
    sink.wait_for(1)
    began = time.monotonic()
    delivery.close(0.3)
    assert time.monotonic() - began < 5
    states = {message.state(T0): message.reason(T0) for message in read_outbox(store).values()}
    assert set(states) == {State.PERHAPS, State.WAITING}
    assert "no answer" in states[State.PERHAPS]
