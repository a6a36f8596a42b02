"""What a person does with alerts: try a channel out, see what is left, send it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from runguard_core.alerts._answers import Judgement, judged
from runguard_core.alerts._channels import Channel, ChannelKind
from runguard_core.alerts._delivering import deliver
from runguard_core.alerts._messages import Message, State, absorb
from runguard_core.alerts._outbox import asked_again_event, message_id, queued_event
from runguard_core.alerts._reading import Correspondence
from runguard_core.alerts._routing import NOWHERE, Alerting
from runguard_core.alerts._sending import send
from runguard_core.finops.owners import Notice, Step, Urgency
from runguard_core.ids import new_id
from runguard_core.ledger import Store


def try_out(channel: Channel, app: str, now: Callable[[], datetime]) -> Judgement:
    """Send a test message, past the outbox; what came of it. At PagerDuty it opens an incident and resolves it at once."""
    at = now()
    notice = Notice(
        about=f"test:{new_id()}", to="whoever reads this", level="test", step=Step.TRIGGER, urgency=Urgency.INFO, at=at,
        title=f"{app}: a test of RunGuard's alerts", app=app,
        text=f"If you can read this, alerts to channel {channel.name} arrive.",
    )  # fmt: skip
    found = judged(send(channel, _message(notice, channel), at), now())
    if channel.kind is ChannelKind.PAGERDUTY and found.result.value == "sent":
        resolved = _message(replace(notice, step=Step.RESOLVE), channel)
        return judged(send(channel, resolved, now()), now())
    return found


def _message(notice: Notice, channel: Channel) -> Message:
    return Message(
        id=message_id(notice, channel.name), app=notice.app, channel=channel.name, notice=notice, queued_at=notice.at
    )  # fmt: skip


def all_messages(store: Store, outbox: Mapping[str, Message], app: str, alerting: Alerting, now: datetime) -> list[Message]:
    """The outbox, the newest first, and what would be in it had a process lived to queue it. Writes nothing.

    Raises:
        StoreError: the ledger could not be read.
    """
    found = dict(outbox)
    known = Correspondence(store, app, alerting)
    if known.has_begun():
        known.read(now)
        for event in known.unqueued(now, whole=True):
            absorb(found, event)
    return sorted(found.values(), key=lambda one: (one.queued_at, one.id), reverse=True)


def why_not(message: Message, channels: Mapping[str, Channel], now: datetime) -> str:
    """Why a message is not delivered, in words; "" where it is, or where it is only a matter of time."""
    if message.state(now) is State.SENT:
        return ""
    if message.channel == NOWHERE:
        return f"nobody has named a channel for {message.notice.to}: [contacts], or [alerts] default"
    channel = channels.get(message.channel)
    if channel is None:
        return f"this policy has no channel {message.channel}"
    return channel.missing or message.reason(now)


def send_again(
    store: Store, message: Message, channel: Channel, others: Iterable[Message], *, now: Callable[[], datetime], by: str
) -> Message:
    """Another try, now, because a person asks for it; the message as it is after it.

    Where somebody else is at it already, nothing is sent a second time.

    Raises:
        StoreError: the ledger could not be written.
    """
    known = {message.id: message}
    asked = asked_again_event(message, now(), by)
    store.announce([queued_event(message.notice, message.channel, message.queued_at), asked])  # one of them may be new
    absorb(known, asked)
    claim, written = deliver(store, channel, known[message.id], others, now=now, by=by)
    store.announce(written)
    for event in (claim, *written):
        absorb(known, event)
    return known[message.id]
