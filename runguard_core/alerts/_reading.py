"""`Correspondence`: what one process knows of the outbox, and what of the ledger is to be said and is not in it yet."""

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
#: What is written late carries an old stamp (an episode that looking back has found): so often the whole two weeks are read.
_WHOLE = timedelta(minutes=10)
#: Time alone is a reason to speak (a day that has become too dear): so often all is judged again.
_AGAIN = timedelta(minutes=1)
#: A program that is over sooner judges nothing but what it has heard itself.
FIRST_SECONDS = 5.0
#: So many of the latest events of others are looked at each time; those before them are judged with the next minute.
_LATEST = 200
_FIRST = timedelta(seconds=FIRST_SECONDS)


class Correspondence:
    """Messages by id, and how far the ledger has been judged; not for two threads at once."""

    def __init__(self, store: Store, app: str, alerting: Alerting) -> None:
        """Nothing is read yet."""
        self._store, self._app, self._alerting = store, app, alerting
        self.messages: dict[str, Message] = {}
        self._read_at: datetime | None = None
        self._whole_at: datetime | None = None
        self._begun_at: datetime | None = None
        self._judged_at: datetime | None = None
        self._judged_whole_at: datetime | None = None
        self._began_at: datetime | None = None
        self._heard_at: datetime | None = None
        self._heard: set[str] = set()

    @property
    def has_judged_whole(self) -> bool:
        """Whether the last two weeks have been judged, and not only what was heard."""
        return self._judged_whole_at is not None

    # -- the outbox ----------------------------------------------------------------------------------------------

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
            self._whole_at = now
        else:
            self.absorb(outbox)
        if self._read_at is not None:
            self._listen_around(self._read_at - _OVERLAP)
        self._read_at = now

    def _listen_around(self, since: datetime) -> None:
        """Hear what other processes have announced: a kill from a command line is news here, too."""
        asked = EventFilter(app=self._app, kinds=self._alerting.kinds, since=since, limit=_LATEST)
        found = {event.id: event for event in self._store.events(asked)}
        for event in found.values():
            self.hear(event)
        self._heard &= found.keys()

    # -- what is to be said --------------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        """An event of this process: all since then is to be judged."""
        if event.kind in self._alerting.kinds and event.id not in self._heard:
            self._heard.add(event.id)
            self._heard_at = event.at if self._heard_at is None else min(self._heard_at, event.at)

    def begin(self, now: datetime) -> None:
        """Since when this ledger's alerts are sent: from the first process with alerts on. What was long before is not told.

        Raises:
            StoreError: the ledger could not be read or written.
        """
        if self._begun_at is None and not self.has_begun():
            mark = Event(
                id=f"alerts-begun-{self._app}", kind=ev.ALERTS_BEGUN, at=now, severity=ev.NOTICE,
                message="alerts are sent from now on", app=self._app,
            )  # fmt: skip
            self._store.announce([mark])
            self.has_begun()

    def has_begun(self) -> bool:
        """Whether alerts have ever been on for this ledger.

        Raises:
            StoreError: the ledger could not be read.
        """
        found = self._store.events(EventFilter(app=self._app, kinds={ev.ALERTS_BEGUN}))
        self._begun_at = found[0].at if found else None
        return bool(found)

    def unqueued(self, now: datetime, *, whole: bool = False, is_last: bool = False) -> list[Event]:
        """What is to be said and is not in the outbox yet, as the events that would put it there; [] where there is no news.

        Args:
            whole: judge the last two weeks now; else that is done when the process has lived for a while.
            is_last: the process ends: judge what it has heard and leave the rest to the next one.

        Raises:
            StoreError: the ledger could not be read.
        """
        since = self._heard_at if is_last else self._judge_from(now, whole=whole)
        if since is None or self._begun_at is None:
            return []
        heard_at, self._heard_at = self._heard_at, None
        try:
            notices = self._alerting.notices(self._store, self._app, max(since, self._begun_at), now)
        except BaseException:
            self._heard_at = heard_at
            raise
        self._judged_at = now
        if since <= now - NEWS_FOR:
            self._judged_whole_at = now
        found: dict[str, Event] = {}
        for notice in notices:
            for channel in self._alerting.channels_for(notice):
                if message_id(notice, channel) not in self.messages:
                    event = queued_event(notice, channel, now)
                    found.setdefault(event.id, event)
        return list(found.values())

    def _judge_from(self, now: datetime, *, whole: bool) -> datetime | None:
        """From when on the ledger is judged now, None where it is not."""
        if self._judged_at is None and not whole:  # a program that is over soon has to say what happened in it, no more
            self._judged_at = self._began_at = now
            return self._heard_at
        due_at = (self._began_at or now) + _FIRST if self._judged_whole_at is None else self._judged_whole_at + _WHOLE
        if whole or now >= due_at:
            return now - NEWS_FOR
        if self._judged_at is not None and now - self._judged_at >= _AGAIN:
            return min(self._judged_at, self._heard_at or now)
        return self._heard_at
