"""Metrics of the business (revenue, active users, retention) as events of the ledger, and what they come to in a window.

A row says what a metric was on a day, in a week or in a month. Each is one event under an id made of what it says, so that the
same file may be imported by any number of processes, any number of times. A later row for the same days corrects the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from hashlib import blake2b

from runguard_core.events import METRIC_IMPORTED, NOTICE
from runguard_core.finops._calendar import Calendar, Window
from runguard_core.ledger import Event


class Covers(StrEnum):
    """The span that a row speaks of, beginning on its date's own day, week or month; narrower ones go first."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One row.

    Attributes:
        name: lower case with underscores. feature: whose; None for the whole product.
        day: first local day it speaks of. covers: for how long.
        value: what it was; money in USD.
    """

    name: str
    day: date
    value: Decimal
    feature: str | None = None
    covers: Covers = Covers.DAY

    @property
    def key(self) -> tuple[str, str | None, str, str]:
        """What a later row with the same key corrects."""
        return (self.name, self.feature, self.covers.value, self.day.isoformat())


@dataclass(frozen=True, slots=True)
class MetricBook:
    """Every metric that holds.

    Attributes:
        rows: by key, corrections applied. revisions: how often each key was said.
    """

    rows: Mapping[tuple[str, str | None, str, str], Metric] = field(default_factory=dict)
    revisions: Mapping[tuple[str, str | None, str, str], int] = field(default_factory=dict)

    def names(self) -> list[tuple[str, str | None]]:
        """(metric, feature) of every series, by name, the whole product's first."""
        return sorted({(row.name, row.feature) for row in self.rows.values()}, key=lambda pair: (pair[0], pair[1] or ""))

    def find(self, asked: str) -> str:
        """The name of a metric as a sentence says it: "active user" is `active_users` where that is there."""
        known = {row.name for row in self.rows.values()}
        name = metric_name(asked)
        return next((one for one in (name, f"{name}s", name.removesuffix("s")) if one in known), name)

    def series(self, name: str, feature: str | None) -> tuple[Metric, ...]:
        """Rows of a metric by their first day, the widest first where several begin on one.

        Of the whole product: its own rows, or where there are none those of all features.
        """
        own = [row for row in self.rows.values() if row.name == name and row.feature == feature]
        if not own and feature is None:
            own = [row for row in self.rows.values() if row.name == name]
        widest = list(reversed(Covers))
        return tuple(sorted(own, key=lambda row: (row.day, widest.index(row.covers), row.feature or "")))


def metric_name(asked: str) -> str:
    """As metrics are kept: "Active Users" is "active_users"."""
    return "_".join(asked.lower().replace("-", " ").replace("_", " ").split())


def book_of(events: Iterable[Event]) -> MetricBook:
    """The metrics that events tell of: of each key its last revision, whatever order a merged ledger has them in."""
    rows: dict[tuple[str, str | None, str, str], Metric] = {}
    said: dict[tuple[str, str | None, str, str], tuple[int, datetime, str]] = {}
    for one in events:
        if one.kind != METRIC_IMPORTED:
            continue
        facts = one.facts
        row = Metric(
            name=str(facts["metric"]), day=date.fromisoformat(str(facts["date"])), value=Decimal(str(facts["value"])),
            feature=one.feature, covers=Covers(str(facts["covers"])),
        )  # fmt: skip
        order = (int(str(facts["revision"])), one.at, one.id)
        if row.key not in said or order > said[row.key]:
            rows[row.key], said[row.key] = row, order
    return MetricBook(rows, {key: revision + 1 for key, (revision, _, _) in said.items()})


def import_events(book: MetricBook, rows: Sequence[Metric], app: str, source: str, now: datetime) -> list[Event]:
    """The events that bring a book up to date; rows that say nothing new give none.

    Args:
        book: what holds. rows: in order; of equal keys the last holds. app: whose ledger. source: the file's name.
        now: of the import.
    """
    latest = {row.key: row for row in rows}
    changed = [row for key, row in latest.items() if key not in book.rows or book.rows[key].value != row.value]
    return [_event(row, book.revisions.get(row.key, 0), app, source, now) for row in changed]


def _event(row: Metric, revision: int, app: str, source: str, now: datetime) -> Event:
    said = "\0".join((app, row.name, row.feature or "", row.covers.value, f"{row.day}", f"{row.value}", f"{revision}"))
    whose = f" of {row.feature}" if row.feature else ""
    return Event(
        id="me-" + blake2b(said.encode("utf-8", "replace"), digest_size=10).hexdigest(), kind=METRIC_IMPORTED, at=now,
        severity=NOTICE, message=f"{row.name}{whose} was {row.value:f} in the {row.covers.value} from {row.day}", app=app,
        feature=row.feature, facts={
            "metric": row.name, "date": row.day.isoformat(), "covers": row.covers.value, "value": f"{row.value:f}",
            "revision": revision, "source": source,
        },
    )  # fmt: skip


def span_of(row: Metric, calendar: Calendar) -> Window:
    """The days that a row speaks of."""
    return calendar.of_kind(row.covers.value, row.day)


def watermark(rows: Sequence[Metric], calendar: Calendar) -> date | None:
    """The last local day that the rows speak of."""
    return max((span_of(row, calendar).end_day - timedelta(days=1) for row in rows), default=None)


def total_in(rows: Sequence[Metric], window: Window, calendar: Calendar) -> Fraction | None:
    """The sum of a metric over a window: None unless every day of it is spoken of.

    A row of a week or a month is spread evenly over its days; where several speak of one day the narrowest holds. Rows of several
    features (of a product without rows of its own) add up, each by this rule; then every feature must speak of every day.
    """
    by_feature: dict[str | None, dict[date, Fraction]] = {}
    for row in rows:  # the widest come first, so that what is narrower is written over them
        span = span_of(row, calendar)
        if span.first_day < window.end_day and window.first_day < span.end_day:
            share = Fraction(row.value) / len(span.days)
            by_feature.setdefault(row.feature, {}).update(dict.fromkeys(span.days, share))
    days = window.days
    if not by_feature or any(day not in known for known in by_feature.values() for day in days):
        return None
    return sum((known[day] for known in by_feature.values() for day in days), Fraction(0))


def latest(rows: Sequence[Metric]) -> tuple[Fraction, date] | None:
    """What a metric was last, and since when; of several features their latest, added."""
    by_feature = {row.feature: row for row in rows}
    if not by_feature:
        return None
    return sum((Fraction(row.value) for row in by_feature.values()), Fraction(0)), max(row.day for row in by_feature.values())
