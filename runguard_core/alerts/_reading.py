"""`Correspondence`: what one process knows of the outbox, and of the events that become messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from runguard_core import events as ev
from runguard_core.alerts._messages import ALERT_KINDS, NEWS_FOR, Message, absorb, fold
from runguard_core.alerts._outbox import message_id, queued_event
from runguard_core.alerts._routing import Alerting
from runguard_core.ledger import Event, EventFilter, Store

#: Stamps of other hosts may be that much behind.
_OVERLAP = timedelta(minutes=5)
#: What is announced late carries an old stamp (an episode that looking back has found): so often everything is read again.
_WHOLE = timedelta(minutes=10)
#: What happened so shortly before alerts were first set is said too.
_BEFORE = timedelta(hours=1)
_AGAIN = timedelta(minutes=1)
_MOST = 20_000


class Correspondence:
    """Messages by id, and the events they come from; not for two threads at once."""

    def __init__(self, store: Store, app: str, alerting: Alerting) -> None:
        """Nothing is read yet."""
        self._store, self._app, self._alerting = store, app, alerting
        self.messages: dict[str, Message] = {}
        self._events: dict[str, Event] = {}
        self._read_at: datetime | None = None
        self._whole_at: datetime | None = None
        self._begun_at: datetime | None = None
        self._judged_at: datetime | None = None
        self._is_news = True

    def hear(self, event: Event) -> None:
        """An event of this process, at once."""
        if event.kind in self._alerting.kinds and event.id not in self._events:
            self._events[event.id] = event
            self._is_news = True

    def absorb(self, events: Iterable[Event]) -> None:
        """Events that this process has written (or is going to)."""
        for event in events:
            absorb(self.messages, event)

    def read(self, now: datetime, *, whole: bool = False) -> None:
        """What others have written since.

        Args:
            whole: everything of the last two weeks once more, whatever its stamp.

        Raises:
            StoreError: the ledger could not be read.
        """
        is_whole = whole or self._read_at is None or self._whole_at is None or now - self._whole_at >= _WHOLE
        since = now - NEWS_FOR if is_whole or self._read_at is None else self._read_at - _OVERLAP
        outbox = self._store.events(EventFilter(app=self._app, kinds=ALERT_KINDS, since=since))
        if is_whole:
            self.messages = {**{key: one for key, one in self.messages.items() if one.queued_at >= since}, **fold(outbox)}
            self._events = {key: one for key, one in self._events.items() if one.at >= since}
            self._whole_at = now
        else:
            self.absorb(outbox)
        self._read_at = now
        for event in self._store.events(EventFilter(app=self._app, kinds=self._alerting.kinds, since=since, limit=_MOST)):
            self.hear(event)

    def unqueued(self, now: datetime) -> list[Event]:
        """What is to be said and is not in the outbox yet, as the events that would put it there.

        [] where there is no news; once a minute all is judged again: time alone may be a reason (nobody has acknowledged).
        """
        if not self._is_news and self._judged_at is not None and now - self._judged_at < _AGAIN:
            return []
        self._is_news, self._judged_at = False, now
        since = max(now - NEWS_FOR, (self._begun_at or now) - _BEFORE)
        found: dict[str, Event] = {}
        for notice in self._alerting.notices(list(self._events.values()), now):
            for channel in self._alerting.channels_for(notice) if notice.at >= since else ():
                if message_id(notice, channel) not in self.messages:
                    event = queued_event(notice, channel, now)
                    found.setdefault(event.id, event)
        return list(found.values())

    def begin(self, now: datetime) -> None:
        """Since when this ledger's alerts are sent: from the first process with alerts on. What was before is not told.

        Raises:
            StoreError: the ledger could not be read or written.
        """
        if self._begun_at is None:
            mark = Event(
                id=f"alerts-begun-{self._app}", kind=ev.ALERTS_BEGUN, at=now, severity=ev.NOTICE,
                message="alerts are sent from now on", app=self._app,
            )  # fmt: skip
            self._store.announce([mark])
            self._begun_at = now if not self.has_begun() else self._begun_at

    def has_begun(self) -> bool:
        """Whether alerts have ever been on for this ledger.

        Raises:
            StoreError: the ledger could not be read.
        """
        found = self._store.events(EventFilter(app=self._app, kinds={ev.ALERTS_BEGUN}))
        self._begun_at = found[0].at if found else None
        return bool(found)
