"""What the watch needs to know of the past and of other processes, read from the ledger in bites."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from runguard_core.anomalies import Spent, spent_of
from runguard_core.ledger import CallFilter, CallState, Store

#: Six weeks: two of history, two for a level's reference to age, two that an episode may last.
HISTORY_DAYS = 42
MAX_HISTORY_CALLS = 100_000
_OVERLAP = timedelta(seconds=5)
_MAX_FLIGHT = timedelta(hours=1)


class LedgerTail:
    """Calls of one app that have been settled, each once: first those of the past, then those that others make."""

    def __init__(self, store: Store, app: str) -> None:
        """Nothing read yet."""
        self._store, self._app = store, app
        self._in_memory = store.url.startswith("memory:")
        self._seen: dict[str, datetime] = {}
        self._from: datetime | None = None

    def is_new(self, call_id: str, at: datetime) -> bool:
        """Note a call; False when it has been noted before. Notes are kept for as long as a call may be read twice."""
        if call_id in self._seen:
            return False
        self._seen[call_id] = at
        return True

    def history(self, now: datetime) -> Iterator[list[Spent]]:
        """The past: an empty list after each day of the ledger that was read, then what was found, the oldest first.

        Read newest first and at most so many calls: a ledger of millions begins with a shorter history, not with a pause.
        """
        self._from = now - _OVERLAP
        step = timedelta(days=HISTORY_DAYS if self._in_memory else 1)
        days = [self._read(now - step, None, now)]
        for number in range(1, 1 if self._in_memory else HISTORY_DAYS):
            if sum(map(len, days)) >= MAX_HISTORY_CALLS:
                break
            yield []
            days.append(self._read(now - (number + 1) * step, now - number * step, now))
        yield from reversed(days)

    def others(self, now: datetime) -> list[Spent]:
        """What has been settled since, by processes that share the ledger."""
        if self._from is None:
            return []
        found = [] if self._in_memory else self._read(self._from, None, now)
        pending = () if self._in_memory else self._store.calls(
            CallFilter(app=self._app, state=CallState.PENDING, since=now - _MAX_FLIGHT)
        )  # fmt: skip
        self._from = min([now, *(call.started_at for call in pending)]) - _OVERLAP
        return found

    def forget(self) -> None:
        """Drop the notes of calls that will not be read again."""
        if self._from is not None:
            oldest = self._from - _OVERLAP
            self._seen = {call_id: at for call_id, at in self._seen.items() if at >= oldest}

    def _read(self, since: datetime, until: datetime | None, now: datetime) -> list[Spent]:
        """What a host whose clock is wrong has stamped later than now is of now; else all that follows would be of the past."""
        found, latest = [], now.timestamp()
        for call in self._store.calls(CallFilter(app=self._app, since=since, until=until)):
            spent = spent_of(call)
            if spent is not None and call.settlement is not None and self.is_new(call.id, call.settlement.at):
                found.append(spent if spent.at_seconds <= latest else spent._replace(at_seconds=latest))
        found.sort(key=lambda one: (one.at_seconds, one.call_id))
        return found
