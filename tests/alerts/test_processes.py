"""Several processes on one ledger, some of which are killed at the worst moment: each message arrives once or is listed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runguard_core import Guard
from runguard_core import events as ev
from runguard_core.alerts import CLAIM_SECONDS, Alerting, Delivery, Message, State, ladder_source, queue, read_outbox
from runguard_core.finops import CALENDAR
from runguard_core.finops.owners import Ladder, Registry
from runguard_core.ledger import Store
from tests.alerts.sinks import Sink
from tests.alerts.values import Hands, a_channel, a_notice

ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def begin(sink: Sink, kind: str = "webhook", dies_at: str = "") -> subprocess.Popen[bytes]:
        ledger = f"sqlite:///{tmp_path / 'ledger.db'}"
        command = [sys.executable, "-m", "tests.alerts.sender", ledger, sink.url, kind, *([dies_at] if dies_at else [])]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def go(*processes: subprocess.Popen[bytes]) -> None:
    """All at once, as good as that can be."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()


def now() -> datetime:
    return datetime.now(UTC)


def only(store: Store) -> Message:
    (found,) = read_outbox(store).values()
    return found


def look_later(store: Store, sink: Sink, kind: str) -> Hands:
    """What the next process does, when the claim of the dead one has run out."""
    clock = Hands(now() + timedelta(seconds=CLAIM_SECONDS + 1))
    Delivery(store, "shop", Alerting(channels={"ops": a_channel(sink.url, kind)}), clock).look()
    return clock


@pytest.mark.parametrize("kind", ["webhook", "slack"])
@pytest.mark.parametrize("moment", ["before the answer", "before the record"])
def test_a_process_killed_amidst_a_try(store: Store, sink: Sink, start: Start, kind: str, moment: str) -> None:
    """Its claim is there: what knows the message again gets it again, under the same id; else it is listed and sent by nobody."""
    if moment == "before the answer":
        sink.answers = [sink.hangs]
    queue(store, a_notice(at=now()), "ops")
    process = start(sink, kind, ev.ALERT_SENT if moment == "before the record" else "")
    go(process)
    sink.wait_for(1)
    if moment == "before the answer":
        process.kill()
    assert process.wait(20) == -9
    assert only(store).state(now()) is State.SENDING
    look_later(store, sink, "webhook" if kind == "webhook" else "slack")
    if kind == "webhook":
        assert {headers["webhook-id"] for headers, _ in sink.requests} == {only(store).id}
        assert (len(sink.requests), only(store).state(now())) == (2, State.SENT)
    else:
        assert (len(sink.requests), only(store).state(now() + timedelta(seconds=CLAIM_SECONDS))) == (1, State.PERHAPS)


def test_a_process_killed_before_it_queued_what_it_had_announced(store: Store, sink: Sink, start: Start) -> None:
    """The event is in the ledger: the next process reads it there."""
    Delivery(store, "shop", Alerting(), Hands(now())).look()  # alerts have been on for this ledger
    guard = Guard(app="shop", store=store)
    guard.kill("agent:planner", reason="runaway", by="ana")
    dead = start(sink, "slack", ev.ALERT_QUEUED)
    go(dead)
    assert dead.wait(30) == -9
    assert (read_outbox(store), sink.requests) == ({}, [])
    for _ in range(2):
        clock = Hands(now())
        channels = {"ops": a_channel(sink.url, "slack")}
        alerting = Alerting(channels=channels, default=("ops",), sources=(ladder_source(Registry(), Ladder(), CALENDAR),))
        delivery = Delivery(store, "shop", alerting, clock)
        delivery.look()
        clock.move(6)
        delivery.look()
    assert len(sink.requests) == 1
    guard.close()


def test_what_another_process_announces_is_told_at_the_next_look(store: Store, sink: Sink) -> None:
    """A command line that kills delivers nothing itself."""
    clock = Hands(now())
    alerting = Alerting(
        channels={"ops": a_channel(sink.url)}, default=("ops",), sources=(ladder_source(Registry(), Ladder(), CALENDAR),)
    )  # fmt: skip
    delivery = Delivery(store, "shop", alerting, clock)
    delivery.look()
    clock.move(6)
    delivery.look()
    elsewhere = Guard(app="shop", store=store)
    elsewhere.kill("agent:planner", reason="runaway", by="ana")
    clock.move(15)
    delivery.look()
    assert [body["title"] for body in sink.bodies] == ["unowned: agent planner was stopped: runaway"]
    clock.move(15)
    delivery.look()
    assert len(sink.requests) == 1
    elsewhere.close()


def test_two_processes_deliver_each_message_once(store: Store, sink: Sink, start: Start) -> None:
    for number in range(25):
        queue(store, a_notice(f"an-{number}", at=now()), "ops")
    go(start(sink), start(sink))
    sink.wait_for(25)
    assert set(sink.ids().values()) == {1}
    senders = {message.last.by for message in read_outbox(store).values() if message.last is not None}
    assert len(sink.ids()) == 25
    assert len(senders) in {1, 2}, "whoever was first"


def test_what_a_process_leaves_the_next_one_delivers(store: Store, sink: Sink, start: Start) -> None:
    queue(store, a_notice(at=now()), "ops")
    go(start(sink))
    sink.wait_for(1)
    assert len(sink.requests) == 1
