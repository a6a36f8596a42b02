"""A message of the outbox: a notice on its way to one channel. Its state is a fold of the ledger's events, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from runguard_core import events as ev
from runguard_core.alerts._notices import notice_of
from runguard_core.finops.owners import Notice
from runguard_core.ledger import Event

#: The kinds of events that messages are folded from.
ALERT_KINDS = frozenset(
    {ev.ALERT_QUEUED, ev.ALERT_TRIED, ev.ALERT_SENT, ev.ALERT_FAILED, ev.ALERT_GIVEN_UP, ev.ALERT_ASKED_AGAIN}
)
#: A try has its answer within so long, or whoever made it has died: far above the time-out of any request.
CLAIM_SECONDS = 90.0
#: What nobody has tried to send for so long is not sent by itself any more: it would be no news.
NEWS_FOR = timedelta(days=14)


class State(StrEnum):
    """Where a message stands."""

    WAITING = "waiting"  # to be sent when it is due
    SENDING = "sending"  # somebody is at it
    SENT = "sent"
    PERHAPS = "perhaps delivered"  # sent, and no answer is known: a person decides whether it goes out again
    UNDELIVERED = "undelivered"  # given up


class Result(StrEnum):
    """What became of a try."""

    SENT = "sent"
    FAILED = "failed"  # certainly not delivered
    UNKNOWN = "unknown"  # sent, and no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One sending of a message.

    Attributes:
        number: 1 for the first. at: when it was claimed, before anything was sent.
        by: the process. is_repeatable: the destination knows the message again, so that a second copy does no harm.
        result: None while there is no answer; reason: what the destination said.
        due_at: when the next try is due, None where there is none.
        holds_until: so long the whole channel is left alone, None where only this message failed.
    """

    number: int
    at: datetime | None = None
    by: str = ""
    is_repeatable: bool = False
    result: Result | None = None
    reason: str = ""
    due_at: datetime | None = None
    holds_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A notice on its way to one channel.

    Attributes:
        id: derived from the notice and the channel, so that whoever queues it again queues nothing.
        app, channel, notice, queued_at: what, whose, whereto, since when.
        tries: by number.
        given_up_after: the number of the try after which it was given up, None while it was not.
        asked_again_after, asked_again_at: after which try, and when, a person asked for another; -1 and None where nobody did.
    """

    id: str
    app: str
    channel: str
    notice: Notice
    queued_at: datetime
    tries: Mapping[int, Try] = field(default_factory=dict)
    given_up_after: int | None = None
    given_up_reason: str = ""
    asked_again_after: int = -1
    asked_again_at: datetime | None = None

    @property
    def last(self) -> Try | None:
        """The latest try."""
        return self.tries[max(self.tries)] if self.tries else None

    @property
    def try_count(self) -> int:
        """How often it was sent, or claimed to be sent."""
        return max(self.tries, default=0)

    @property
    def fail_count(self) -> int:
        """How many tries came to nothing since a person last asked for one."""
        return self.try_count - max(self.asked_again_after, 0)

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen to it by itself, whatever the time."""
        return self._is_sent or (self._is_given_up and not self._is_asked_again)

    @property
    def _is_sent(self) -> bool:
        return any(one.result is Result.SENT for one in self.tries.values())

    @property
    def _is_given_up(self) -> bool:
        return self.given_up_after is not None and self.given_up_after >= self.try_count

    @property
    def _is_asked_again(self) -> bool:
        return self.asked_again_at is not None and self.asked_again_after >= self.try_count

    def due_at(self, now: datetime) -> datetime | None:
        """When it is to be sent, None while it is being sent, or where it is not by itself."""
        last = self.last
        if self._is_sent:
            return None
        if self._is_asked_again:
            return self.asked_again_at
        if self._is_given_up:
            return None
        if last is None:
            return self.queued_at if now < self.queued_at + NEWS_FOR else None
        if last.result is not None:
            return last.due_at
        lost_at = None if last.at is None else last.at + timedelta(seconds=CLAIM_SECONDS)
        return lost_at if last.is_repeatable and lost_at is not None and lost_at <= now else None

    def state(self, now: datetime) -> State:
        """Where it stands."""
        if self._is_sent:
            return State.SENT
        if self.due_at(now) is not None:
            return State.WAITING
        last = self.last
        if last is not None and last.result is None and not self._is_given_up:
            is_lost = last.at is None or now >= last.at + timedelta(seconds=CLAIM_SECONDS)
            return State.PERHAPS if is_lost else State.SENDING
        return State.PERHAPS if last is not None and last.result is Result.UNKNOWN else State.UNDELIVERED

    def reason(self, now: datetime) -> str:
        """Why it is not delivered, "" where it is, or where nothing has been tried."""
        if self._is_sent:
            return ""
        if self._is_given_up and self.given_up_reason:
            return self.given_up_reason
        if self.last is not None and self.last.result is None and self.state(now) is not State.SENDING:
            return "the process that sent it ended before it had an answer"
        if self.last is None and self.state(now) is State.UNDELIVERED:
            return "nobody sent it while it was news (two weeks)"
        return self.last.reason if self.last is not None else ""


def fold(events: Iterable[Event]) -> dict[str, Message]:
    """Messages by id, in the order in which they were queued; each event counts once, however often and in whatever order.

    What speaks of a message that is not among the events (or cannot be read) is passed over.
    """
    known: dict[str, Message] = {}
    later: list[Event] = []
    for event in events:
        if event.kind == ev.ALERT_QUEUED:
            absorb(known, event)
        else:
            later.append(event)
    for event in later:
        absorb(known, event)
    return known


def absorb(known: dict[str, Message], event: Event) -> None:
    """Take one event into account."""
    if event.kind not in ALERT_KINDS:
        return
    try:
        message = str(event.facts["message"])
        if event.kind == ev.ALERT_QUEUED:
            known.setdefault(message, _queued(event, message))
        elif message in known:
            known[message] = _moved(known[message], event)
    except (KeyError, ValueError, TypeError):
        return  # another version's, or damaged


def _queued(event: Event, message: str) -> Message:
    facts = event.facts
    return Message(id=message, app=event.app, channel=str(facts["channel"]), notice=notice_of(facts), queued_at=event.at)


def _moved(message: Message, event: Event) -> Message:
    facts, number = event.facts, int(event.facts["number"])
    if event.kind == ev.ALERT_ASKED_AGAIN:
        if number < message.asked_again_after:
            return message
        return replace(message, asked_again_after=number, asked_again_at=event.at)
    if event.kind == ev.ALERT_GIVEN_UP:
        if message.given_up_after is not None and number < message.given_up_after:
            return message
        return replace(message, given_up_after=number, given_up_reason=str(facts.get("reason", "")))
    one = message.tries.get(number, Try(number=number))
    if event.kind == ev.ALERT_TRIED:
        one = replace(one, at=event.at, by=str(facts.get("by", "")), is_repeatable=bool(facts.get("is_repeatable")))
    elif event.kind == ev.ALERT_SENT:
        one = replace(one, result=Result.SENT, reason=str(facts.get("reason", "")), due_at=None, holds_until=None)
    elif one.result is not Result.SENT:
        one = replace(
            one, result=Result(facts["result"]), reason=str(facts.get("reason", "")), due_at=_moment(facts.get("due_at")),
            holds_until=_moment(facts.get("holds_until")),
        )  # fmt: skip
    return replace(message, tries={**message.tries, number: one})


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
