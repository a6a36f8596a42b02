"""The outbox: every step of a message is an event whose id is a claim, so that of all processes one takes it.

A try is claimed before anything is sent. What a process that died in between leaves behind is seen by everybody: a try without
an answer.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Any

from runguard_core import events as ev
from runguard_core.alerts._messages import ALERT_KINDS, Message, Result, fold
from runguard_core.alerts._notices import notice_facts
from runguard_core.finops.owners import Notice
from runguard_core.ledger import Event, EventFilter, Store


def message_id(notice: Notice, channel: str) -> str:
    """The same notice to the same channel has the same id, whoever queues it."""
    said = f"{notice.id}\0{channel}".encode("utf-8", "replace")
    return "al-" + blake2b(said, digest_size=8).hexdigest()


def queue(store: Store, notice: Notice, channel: str, now: datetime | None = None) -> bool:
    """Put a notice into the outbox, to be delivered by whatever process delivers first; whether it was new.

    Args:
        store: the ledger. channel: the name of `[alerts.channels.NAME]` (or what `Channels.name_of` makes of a URL).
        now: when it is due at the earliest; None: at the notice's own time.

    Raises:
        StoreError: it could not be written.
    """
    return store.announce([queued_event(notice, channel, now or notice.at)]) == 1


def queued_event(notice: Notice, channel: str, at: datetime) -> Event:
    """What `queue` writes."""
    found = message_id(notice, channel)
    return Event(
        id=f"{found}-queued", kind=ev.ALERT_QUEUED, at=at, severity=ev.NOTICE, message=f"to {channel}: {notice.title}"[:500],
        app=notice.app, session=notice.session, agent=notice.agent, feature=notice.feature,
        facts={**notice_facts(notice), "message": found, "channel": channel},
    )  # fmt: skip


def read_outbox(store: Store, app: str | None = None, since: datetime | None = None) -> dict[str, Message]:
    """Messages by id, in the order in which they were queued.

    Args:
        app: whose; None: everybody's. since: queued since then.

    Raises:
        StoreError: the ledger could not be read.
    """
    return fold(store.events(EventFilter(app=app, kinds=ALERT_KINDS, since=since)))


def tried_event(message: Message, now: datetime, by: str, *, is_repeatable: bool) -> Event:
    """The claim of the next try: whoever announces it first may send.

    Args:
        by: the process. is_repeatable: whether the destination knows a message that it has had before.
    """
    number = message.try_count + 1
    said = f"try {number} of message {message.id} to {message.channel}"
    return _step(message, ev.ALERT_TRIED, "tried", number, now, said, by=by, is_repeatable=is_repeatable)


def sent_event(message: Message, number: int, now: datetime, reason: str) -> Event:
    """The destination has taken it; `reason` is what it said."""
    return _step(message, ev.ALERT_SENT, "sent", number, now, f"delivered to {message.channel}: {reason}", reason=reason)


def failed_event(
    message: Message, number: int, now: datetime, result: Result, reason: str, due_at: datetime | None,
    holds_until: datetime | None = None,
) -> Event:  # fmt: skip
    """It has not, or nobody knows.

    Args:
        due_at: when it is sent again, None where it is not by itself. holds_until: so long its whole channel is left alone.
    """
    times = {"due_at": due_at, "holds_until": holds_until}
    facts = {key: None if at is None else at.isoformat() for key, at in times.items()}
    said = f"not delivered to {message.channel}: {reason}"
    return _step(message, ev.ALERT_FAILED, "failed", number, now, said, result=result.value, reason=reason, **facts)


def given_up_event(message: Message, number: int, now: datetime, reason: str) -> Event:
    """No further try by itself."""
    said = f"given up after {number} tries, {message.channel}: {reason}"
    return _step(message, ev.ALERT_GIVEN_UP, "given-up", number, now, said, reason=reason)


def asked_again_event(message: Message, now: datetime, by: str) -> Event:
    """A person asks for another try."""
    said = f"{by} asks to send message {message.id} to {message.channel} again"
    return _step(message, ev.ALERT_ASKED_AGAIN, "again", message.try_count, now, said, by=by)


def _step(message: Message, kind: str, word: str, number: int, at: datetime, said: str, **facts: Any) -> Event:
    notice, severity = message.notice, ev.WARN if kind in {ev.ALERT_FAILED, ev.ALERT_GIVEN_UP} else ev.NOTICE
    return Event(
        id=f"{message.id}-{word}-{number}", kind=kind, at=at, severity=severity, message=said[:500], app=message.app,
        session=notice.session, agent=notice.agent, feature=notice.feature,
        facts={"message": message.id, "channel": message.channel, "number": number, **facts},
    )  # fmt: skip
