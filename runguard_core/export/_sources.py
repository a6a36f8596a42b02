"""Where rows come from, in parts that can be compared with what was exported before: `Source` and those of a ledger.

A part of calls is a quarter of an hour (UTC) of their admissions, a part of sessions or events a day. What a part holds is
known by its mark without reading its calls: the sums that a ledger keeps, by who pays and which model. A late settlement or a
correction changes a sum, so the part's rows are exported again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Protocol

from runguard_core.calls import CallKind
from runguard_core.export._call_tables import CALLS, ROWS, TOOL_CALLS
from runguard_core.export._event_table import EVENTS, event_row
from runguard_core.export._session_table import SESSIONS, session_rows
from runguard_core.export._table import Row, Table
from runguard_core.ledger import CallFilter, CallRecord, Event, EventFilter, Store, Total, TotalKey

Tell = Callable[[int, int], None]
_QUARTER, _DAY = timedelta(minutes=15), timedelta(days=1)
_PAYER = ("quarter_hour", "kind", "app", "feature", "team", "owner", "agent", "provider", "model")
#: Calls that are read at once, unless a single quarter of an hour has more.
_TOGETHER_COUNT = 20_000


@dataclass(frozen=True, slots=True)
class Mark:
    """What a part held: how many rows its calls or events make at least, and a digest of all that a row may say of money."""

    count: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which rows: of one app or all, of whole days (UTC); None is no bound."""

    app: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def covers(self, day: str) -> bool:
        """Whether a day lies in it."""
        at = instant_of(day)
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


class Source(Protocol):
    """Rows of a table. The name of a part begins with its day; a later day has a later name.

    Attributes:
        is_counted: a mark counts the rows of its part; else it counts what they are made of.
    """

    table: Table
    is_counted: bool

    def marks(self) -> Mapping[str, Mark]:
        """What each part holds now, by name, in order."""
        ...

    def rows(self, day: str, parts: Sequence[str]) -> Iterator[Sequence[Row]]:
        """Rows of some parts of a day, `revision` left out, in lots that fit into memory."""
        ...


def instant_of(part: str) -> datetime:
    """When a part begins."""
    return datetime.fromisoformat(part).replace(tzinfo=UTC)


class LedgerCalls:
    """Calls to models, or runs of tools."""

    is_counted = True

    def __init__(self, store: Store, kind: CallKind, span: Span) -> None:
        """Nothing is read yet."""
        self.table = CALLS if kind is CallKind.MODEL else TOOL_CALLS
        self._store, self._kind, self._span, self._counts = store, kind, span, dict[str, int]()

    def marks(self) -> Mapping[str, Mark]:
        """See `Source`."""
        found = {}
        for _, totals in _days(self._store, self._span):
            for part, some in _by_quarter(totals, self._kind).items():
                found[part] = _mark(some)
            self._counts.update(_counts(totals))
        return found

    def rows(self, day: str, parts: Sequence[str]) -> Iterator[Sequence[Row]]:
        """See `Source`."""
        row = ROWS[self._kind]
        for since, until in _stretches(parts, self._counts):
            calls = self._store.calls(CallFilter(app=self._span.app, since=since, until=until))
            yield [row(call) for call in calls if call.kind is self._kind]


class LedgerSessions:
    """Sessions by day."""

    table, is_counted = SESSIONS, False

    def __init__(self, store: Store, span: Span) -> None:
        """Nothing is read yet."""
        self._store, self._span = store, span

    def marks(self) -> Mapping[str, Mark]:
        """See `Source`."""
        return {day: _mark(totals) for day, totals in _days(self._store, self._span)}

    def rows(self, day: str, parts: Sequence[str]) -> Iterator[Sequence[Row]]:
        """See `Source`: all rows of the day."""
        yield list(session_rows(day, self._calls(day)))

    def _calls(self, day: str) -> Iterator[CallRecord]:
        since = instant_of(day)
        return calls_between(self._store, self._span.app, since, since + _DAY)


class LedgerEvents:
    """The event log by day."""

    table, is_counted = EVENTS, True

    def __init__(self, store: Store, span: Span) -> None:
        """Nothing is read yet."""
        self._store, self._span = store, span

    def marks(self) -> Mapping[str, Mark]:
        """See `Source`."""
        found = {}
        for day in self._days():
            ids = [event.id for event in self._events(day)]
            if ids:
                found[day] = Mark(len(ids), _digest(ids))
        return found

    def rows(self, day: str, parts: Sequence[str]) -> Iterator[Sequence[Row]]:
        """See `Source`: all rows of the day."""
        yield [event_row(event) for event in self._events(day)]

    def _events(self, day: str) -> Sequence[Event]:
        since = instant_of(day)
        return self._store.events(EventFilter(app=self._span.app, since=since, until=since + _DAY))

    def _days(self) -> Iterator[str]:
        """From a day before which there is no event to the last one."""
        store, app, until = self._store, self._span.app, self._span.until
        ends = self._ends()
        if ends is None:
            return
        first, last = ends
        if self._span.since is None:
            reach = _DAY
            while store.events(EventFilter(app=app, until=first, limit=1)):
                first, reach = first - reach, 2 * reach
        first, last = self._span.since or first, min(last, until - _DAY) if until is not None else last
        while first <= last:
            yield f"{first:%Y-%m-%d}"
            first += _DAY

    def _ends(self) -> tuple[datetime, datetime] | None:
        """The day of the event that was written last, and the last day that has one."""
        latest = self._store.events(EventFilter(app=self._span.app, limit=1))
        if not latest:
            return None
        day, reach = day_of(latest[0].at), _DAY
        last = day
        # clocks of many hosts: an event that was written before may speak of a later day
        while self._store.events(EventFilter(app=self._span.app, since=last + _DAY, limit=1)):
            last, reach = last + reach, 2 * reach
        return day, last


def calls_between(store: Store, app: str | None, since: datetime, until: datetime) -> Iterator[CallRecord]:
    """Paid calls admitted in a time (both ends on a quarter of an hour), in their order, few at once in memory."""
    counts = _counts(store.totals(("quarter_hour",), CallFilter(app=app, since=since, until=until)))
    for start, end in _stretches(sorted(counts), counts):
        yield from (call for call in store.calls(CallFilter(app=app, since=start, until=end)) if call.is_paid)


def day_of(at: datetime) -> datetime:
    """The first instant of the day (UTC) of an instant."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _days(store: Store, span: Span) -> Iterator[tuple[str, Mapping[TotalKey, Total]]]:
    """Every day that has calls, with its sums; one day at once, so that memory does not grow with the ledger's age."""
    quarters = store.totals(("quarter_hour",), CallFilter(app=span.app, since=span.since, until=span.until))
    for day in sorted({str(key[0])[:10] for key in quarters}):
        since = instant_of(day)
        yield day, store.totals(_PAYER, CallFilter(app=span.app, since=since, until=since + _DAY))


def _by_quarter(totals: Mapping[TotalKey, Total], kind: CallKind) -> dict[str, dict[TotalKey, Total]]:
    found: dict[str, dict[TotalKey, Total]] = {}
    for key in sorted(totals, key=repr):
        if key[1] == kind.value:
            found.setdefault(_part_of(key), {})[key] = totals[key]
    return found


def _counts(totals: Mapping[TotalKey, Total]) -> dict[str, int]:
    """Calls of any kind by part; the quarter is the first dimension."""
    found: dict[str, int] = {}
    for key, total in totals.items():
        part = _part_of(key)
        found[part] = found.get(part, 0) + total.call_count + total.tool_count
    return found


def _part_of(key: TotalKey) -> str:
    return str(key[0])[:16]


def _mark(totals: Mapping[TotalKey, Total]) -> Mark:
    count = sum(total.call_count + total.tool_count for total in totals.values())
    return Mark(count, _digest(f"{key!r}{totals[key].counts()!r}" for key in sorted(totals, key=repr)))


def _digest(texts: Iterable[str]) -> str:
    return blake2b("\n".join(texts).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _stretches(parts: Sequence[str], counts: Mapping[str, int]) -> Iterator[tuple[datetime, datetime]]:
    """Quarters of an hour as spans of time: neighbours together as long as they have not too many calls."""
    start: datetime | None = None
    end, count = datetime.min.replace(tzinfo=UTC), 0
    for part in parts:
        at, more = instant_of(part), counts.get(part, 0)
        if start is not None and (at != end or count + more > _TOGETHER_COUNT):
            yield start, end
            start = None
        if start is None:
            start, count = at, 0
        end, count = at + _QUARTER, count + more
    if start is not None:
        yield start, end
