"""The table of sessions: a row for each session, feature and team on each day, so that rows add up to the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from runguard_core.attribution import feature_of
from runguard_core.calls import OutcomeKind
from runguard_core.export._call_tables import TOKENS
from runguard_core.export._table import Column, Kind, Row, Table
from runguard_core.ledger import TOTAL_FIELDS, CallRecord, conversation_of, counts_of
from runguard_core.money import nanos_to_usd

_TEXT, _INT, _NANOS = Kind.TEXT, Kind.INT, Kind.NANOS
_COST = TOTAL_FIELDS.index("cost_nanos")

SESSIONS = Table(
    "sessions",
    1,
    (
        Column("app", _TEXT, "the program", True),
        Column("feature", _TEXT, "what the product sells; the app where a call names none", True),
        Column("team", _TEXT, "who answers for the cost"),
        Column("session", _TEXT, "the conversation; the run, else the call, where none was named", True),
        Column("owner", _TEXT, "of its first call that day"),
        Column("agent", _TEXT, "of its first call that day"),
        Column("user", _TEXT, "of its first call that day"),
        Column("first_at", Kind.INSTANT, "admission of its first call that day", True),
        Column("last_at", Kind.INSTANT, "admission of its last call that day", True),
        Column("run_count", _INT, "root invocations of an agent", True),
        Column("turn_count", _INT, "rounds of the agent's loop", True),
        Column("failed_count", _INT, "calls that did not complete", True),
        Column("call_count", _INT, "calls to models", True),
        Column("tool_count", _INT, "runs of tools", True),
        Column("unpriced_count", _INT, "settled calls without a price", True),
        Column("cost_nanos", _NANOS, "charged, nano-USD", True),
        Column("exact_nanos", _NANOS, "the part that is exact", True),
        Column("estimated_nanos", _NANOS, "the part that is estimated", True),
        Column("assumed_nanos", _NANOS, "the part that a crash left unknown", True),
        Column("pending_nanos", _NANOS, "quotes of the calls in flight, not in the cost", True),
        *TOKENS,
        Column("cost_usd", Kind.USD, "cost_nanos in USD, nine digits behind the point", True),
    ),
    "what a session of one feature and team cost on one day; the rows of a session add up to it",
)


class _Seen:
    """One session of one feature and team on one day, as its calls are read."""

    __slots__ = ("counts", "failed_count", "first", "last_at", "runs", "turns")

    def __init__(self, first: CallRecord) -> None:
        self.first, self.last_at, self.counts, self.failed_count = first, first.started_at, [0] * len(TOTAL_FIELDS), 0
        self.runs: set[str] = set()
        self.turns: set[tuple[str | None, int]] = set()

    def add(self, call: CallRecord) -> None:
        who, ended = call.attribution, call.settlement
        for place, amount in enumerate(counts_of(call.kind, call.quote_nanos, ended)):
            if amount:
                self.counts[place] += amount
        self.last_at = max(self.last_at, call.started_at)
        if who.run is not None:
            self.runs.add(who.run)
        if who.turn is not None:
            self.turns.add((who.run, who.turn))
        if ended is not None and ended.outcome is not OutcomeKind.COMPLETED:
            self.failed_count += 1


_Key = tuple[str, str, str, str]


def session_rows(day: str, calls: Iterable[CallRecord]) -> Iterator[Row]:
    """Rows of SESSIONS, `revision` left out, from the paid calls of one day in the order of their admission."""
    seen: dict[_Key, _Seen] = {}
    for call in calls:
        key = (call.attribution.app, feature_of(call.attribution), call.attribution.team or "", conversation_of(call))
        found = seen.get(key)
        if found is None:
            found = seen[key] = _Seen(call)
        found.add(call)
    for key in sorted(seen):
        yield _row(day, key, seen[key])


def _row(day: str, key: _Key, seen: _Seen) -> Row:
    who = seen.first.attribution
    app, feature, team, session = key
    return (
        "se-" + blake2b("\0".join((day, *key)).encode("utf-8", "replace"), digest_size=12).hexdigest(),
        app, feature, team or None, session, who.owner, who.agent, who.user, seen.first.started_at, seen.last_at,
        len(seen.runs), len(seen.turns), seen.failed_count, *seen.counts, nanos_to_usd(seen.counts[_COST]),
    )  # fmt: skip
