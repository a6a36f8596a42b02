"""The table of statements: a row for each line of a closed period. It joins two siblings that may not know each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

from runguard_core.events import PERIOD_CLOSED
from runguard_core.export import Column, Kind, Mark, Row, Span, Table
from runguard_core.finops.chargeback import Closing, closings_of
from runguard_core.ledger import EventFilter, Store
from runguard_core.money import nanos_to_usd

_TEXT, _INT, _NANOS = Kind.TEXT, Kind.INT, Kind.NANOS
STATEMENTS = Table(
    "statements",
    1,
    (
        Column("period", _TEXT, "the month, e.g. 2026-10", True),
        Column("period_start", Kind.INSTANT, "its first instant", True),
        Column("period_end", Kind.INSTANT, "the first instant after it", True),
        Column("app", _TEXT, "whose calls; none: of all apps of the ledger"),
        Column("closed_at", Kind.INSTANT, "when it was closed: the day of this row", True),
        Column("closed_by", _TEXT, "by whom", True),
        Column("mode", _TEXT, "showback or chargeback", True),
        Column("party_kind", _TEXT, "team, unattributed or overhead", True),
        Column("party", _TEXT, "the team, or what is shared", True),
        Column("line_kind", _TEXT, "direct, shared, residual or correction", True),
        Column("line", _TEXT, "the feature, the shared thing, or the corrected month", True),
        Column("cost_nanos", _NANOS, "nano-USD, negative where it is taken off", True),
        Column("cost_usd", Kind.USD, "the same in USD, nine digits behind the point", True),
        Column("unsure_nanos", _NANOS, "the part that is estimated or assumed", True),
        Column("call_count", _INT, "of direct lines", True),
        Column("token_count", _INT, "of direct lines", True),
        Column("unpriced_count", _INT, "calls without a price, which cost nothing here", True),
        Column("basis_unit", _TEXT, "by what a part was cut"),
        Column("basis_ratio", _TEXT, "its share, exact decimal digits; those of one cost add up to 1"),
    ),
    "a line of a statement of a closed month; never changed, corrections are lines of a later month",
)


class ClosedStatements:
    """Lines of closings, by the day (UTC) on which a period was closed."""

    table, is_counted = STATEMENTS, True

    def __init__(self, store: Store, span: Span) -> None:
        """Nothing is read yet."""
        self._store, self._span = store, span

    def marks(self) -> Mapping[str, Mark]:
        """See `Source`."""
        found = {}
        for day, closings in self._by_day().items():
            ids = [row[0] for closing in closings for row in statement_rows(closing)]
            digest = blake2b("\n".join(ids).encode("utf-8", "replace"), digest_size=8).hexdigest()
            found[day] = Mark(len(ids), digest)
        return found

    def rows(self, day: str, parts: Sequence[str]) -> Iterator[Sequence[Row]]:
        """See `Source`: all rows of the day."""
        for closing in self._by_day().get(day, ()):
            yield list(statement_rows(closing))

    def _by_day(self) -> dict[str, list[Closing]]:
        events = self._store.events(EventFilter(kinds=(PERIOD_CLOSED,), since=self._span.since, until=self._span.until))
        scopes = {event.facts["scope"] for event in events} if self._span.app is None else {self._span.app}
        closings = [closing for scope in scopes for closing in closings_of(events, scope)]
        found: dict[str, list[Closing]] = {}
        for closing in sorted(closings, key=lambda one: (one.at, one.period, one.app or "")):
            found.setdefault(f"{closing.at:%Y-%m-%d}", []).append(closing)
        return found


def statement_rows(closing: Closing) -> Iterator[Row]:
    """Rows of STATEMENTS, `revision` left out."""
    for statement in closing.statements:
        party = statement.party
        for number, line in enumerate(statement.lines):
            basis = line.basis
            yield (
                "|".join((closing.period, closing.app or "*", party.kind.value, party.name, str(number))),
                closing.period, closing.start, closing.end, closing.app, closing.at, closing.by, closing.rules.mode.value,
                party.kind.value, party.name, line.kind.value, line.name, line.nanos, nanos_to_usd(line.nanos),
                line.unsure_nanos, line.call_count, line.token_count, line.unpriced_count,
                None if basis is None else basis.unit, None if basis is None else f"{basis.ratio:f}",
            )  # fmt: skip
