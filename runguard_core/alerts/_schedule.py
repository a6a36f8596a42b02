"""Which messages are sent now, and when to look again: pure functions of the outbox, the channels and the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from runguard_core.alerts._channels import Channel
from runguard_core.alerts._messages import Message, Result, State
from runguard_core.finops.owners import Step, Urgency

_MINUTE = timedelta(minutes=1)
_RANK = {Urgency.CRITICAL: 0, Urgency.ERROR: 1, Urgency.WARNING: 2, Urgency.INFO: 3}


def ready(messages: Iterable[Message], channels: Mapping[str, Channel], now: datetime) -> list[Message]:
    """What is to be sent now: due, to a channel that can be used here, is not left alone and has room this minute.

    The most urgent first, then the oldest. What is over a channel's limit waits; so does what follows another message about the
    same thing that is still on its way: an ending must not come before its beginning.
    """
    all_of_them = list(messages)
    room, first = _room(all_of_them, channels, now), _first_of_each(all_of_them, now)
    found = []
    for message in sorted(all_of_them, key=lambda one: (_RANK[one.notice.urgency], one.queued_at, one.id)):
        due = message.due_at(now)
        if due is not None and due <= now and room.get(message.channel, 0) > 0 and first[_thread(message)] == message.id:
            room[message.channel] -= 1
            found.append(message)
    return found


def _thread(message: Message) -> tuple[str, str, str]:
    return message.channel, message.notice.app, message.notice.about


def _first_of_each(messages: list[Message], now: datetime) -> dict[tuple[str, str, str], str]:
    """Of the messages about one thing in one channel that are on their way, the id of the earliest."""
    on_their_way = [one for one in messages if one.state(now) in {State.WAITING, State.SENDING}]
    on_their_way.sort(key=lambda one: (one.notice.at, one.notice.step is Step.RESOLVE, one.notice.number, one.queued_at, one.id))
    return {_thread(one): one.id for one in reversed(on_their_way)}


def next_look_seconds(messages: Iterable[Message], channels: Mapping[str, Channel], now: datetime, most: float) -> float:
    """After how long something may be due, `most` at the latest."""
    all_of_them = list(messages)
    held = {name: _held_until(all_of_them, name) or now for name in channels}
    room = _room(all_of_them, channels, now)
    found = [most]
    for message in all_of_them:
        due = message.due_at(now)
        if due is not None and message.channel in channels and not channels[message.channel].missing:
            at = max(due, held[message.channel])
            found.append(max((at - now).total_seconds(), 0.0 if room.get(message.channel, 0) > 0 or at > now else 1.0))
    return min(found)


def streak_count(messages: Iterable[Message], channel: str) -> int:
    """How many tries to a channel have failed one after the other, the last one included."""
    tries = [one for message in messages if message.channel == channel for one in message.tries.values() if one.at is not None]
    count = 0
    for one in sorted(tries, key=lambda one: (one.at, one.number), reverse=True):
        if one.result is Result.SENT:
            break
        count += one.holds_until is not None
    return count


def _room(messages: list[Message], channels: Mapping[str, Channel], now: datetime) -> dict[str, int]:
    """How many may be sent to each channel now."""
    used = Counter(
        message.channel for message in messages for one in message.tries.values() if one.at is not None and one.at > now - _MINUTE
    )
    return {
        name: 0 if channel.missing or (_held_until(messages, name) or now) > now else channel.per_minute_count - used[name]
        for name, channel in channels.items()
    }


def _held_until(messages: Iterable[Message], channel: str) -> datetime | None:
    """Until when a channel is left alone: by its last failure, if nothing has been delivered since."""
    tries = [one for message in messages if message.channel == channel for one in message.tries.values() if one.at is not None]
    last = max(tries, key=lambda one: (one.at, one.number), default=None)
    return last.holds_until if last is not None else None
