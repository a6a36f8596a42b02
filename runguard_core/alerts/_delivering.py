"""One try of one message: claim, send, and what is written of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from runguard_core.alerts._answers import Answer, Judgement, hold_seconds, judged, next_due_seconds
from runguard_core.alerts._channels import Channel
from runguard_core.alerts._messages import Message, Result
from runguard_core.alerts._outbox import failed_event, given_up_event, sent_event, tried_event
from runguard_core.alerts._posting import Line
from runguard_core.alerts._schedule import streak_count
from runguard_core.alerts._sending import send
from runguard_core.ledger import Event, Store

_log = logging.getLogger("runguard")
Now = Callable[[], datetime]


def deliver(
    store: Store, channel: Channel, message: Message, others: Iterable[Message], *, now: Now, by: str, line: Line | None = None
) -> tuple[Event, list[Event]]:
    """Claim the next try and make it; the claim, and what is to be written of its outcome: nothing where another had claimed it.

    The outcome is not written here: a caller whose ledger is away for a moment keeps it until it is back.

    Raises:
        StoreError: the claim could not be written; nothing was sent.
    """
    claim = tried_event(message, now(), by, is_repeatable=channel.is_repeatable)
    if store.announce([claim]) != 1:
        return claim, []
    found = judged(_sent(channel, message, now, line), now())
    return claim, outcome(message, found, now(), streak_count(others, channel.name), is_repeatable=channel.is_repeatable)


def _sent(channel: Channel, message: Message, now: Now, line: Line | None) -> Answer:
    """A claim must have an answer, even if sending fails in a way that nobody thought of."""
    try:
        return send(channel, message, now(), line)
    except Exception as error:  # noqa: BLE001  any of it; its words and its trace may hold a secret
        _log.error("RunGuard could not send alert %s to %s: %s", message.id, channel.name, type(error).__name__)
        return Answer(words=f"{type(error).__name__} while sending")


def outcome(message: Message, found: Judgement, now: datetime, streak: int, *, is_repeatable: bool) -> list[Event]:
    """The events that a judgement becomes.

    Args:
        message: as it was before this try. streak: how many tries to the channel failed in a row before it.
    """
    number = message.try_count + 1
    if found.result is Result.SENT:
        return [sent_event(message, number, now, found.reason)]
    holds = now + timedelta(seconds=hold_seconds(streak + 1, found.wait_seconds)) if found.is_channels else None
    wait = next_due_seconds(number - max(message.asked_again_after, 0), message.id)
    is_unknown = found.result is Result.UNKNOWN
    is_over = found.is_final or wait is None or (is_unknown and not is_repeatable)
    due = None if is_over or wait is None else now + timedelta(seconds=max(wait, found.wait_seconds))
    failed = failed_event(message, number, now, found.result, found.reason, due, holds)
    if not is_over or (is_unknown and not is_repeatable):
        return [failed]
    reason = found.reason if found.is_final else f"{found.reason} (try {number}, the last one)"
    return [failed, given_up_event(message, number, now, reason)]
