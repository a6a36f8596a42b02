"""Sums over calls by what they have in common: `Total`, what one call adds to it, and the keys it is kept by.

A store answers `totals` from roll-ups or from its calls; `totals_of` is the truth that both must equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter

from runguard_core.calls import CallKind, Certainty
from runguard_core.ledger._calls import CallRecord, Settlement
from runguard_core.usage import NO_USAGE, USAGE_FIELDS, Usage
from runguard_core.values import value

#: The key of a total: one value for each dimension asked for, None where a call does not carry it.
TotalKey = tuple[str | None, ...]


@value(kw_only=True)
class Total:
    """A sum of calls; amounts in nano-USD.

    Attributes:
        call_count: model calls; tool_count: tool calls; unpriced_count: settled calls without a price.
        cost_nanos: charged; exact_nanos, estimated_nanos, assumed_nanos: its parts by certainty.
        pending_nanos: quotes of the calls in flight.
        usage: tokens.
    """

    call_count: int = 0
    tool_count: int = 0
    unpriced_count: int = 0
    cost_nanos: int = 0
    exact_nanos: int = 0
    estimated_nanos: int = 0
    assumed_nanos: int = 0
    pending_nanos: int = 0
    usage: Usage = NO_USAGE

    @classmethod
    def of(cls, counts: Sequence[int]) -> Total:
        """From whole numbers in the order of TOTAL_FIELDS."""
        own, tokens = counts[:_OWN_COUNT], counts[_OWN_COUNT:]
        return cls(**dict(zip(_OWN_FIELDS, own, strict=True)), usage=Usage(**dict(zip(USAGE_FIELDS, tokens, strict=True))))

    def counts(self) -> tuple[int, ...]:
        """Its whole numbers in the order of TOTAL_FIELDS."""
        return (*[getattr(self, name) for name in _OWN_FIELDS], *[getattr(self.usage, name) for name in USAGE_FIELDS])

    def __add__(self, other: Total) -> Total:
        """Field by field."""
        return Total.of([one + more for one, more in zip(self.counts(), other.counts(), strict=True)])


_OWN_FIELDS = (
    "call_count", "tool_count", "unpriced_count", "cost_nanos", "exact_nanos", "estimated_nanos", "assumed_nanos",
    "pending_nanos",
)  # fmt: skip
_OWN_COUNT = len(_OWN_FIELDS)
#: The whole numbers of a total, the columns of every roll-up.
TOTAL_FIELDS: tuple[str, ...] = (*_OWN_FIELDS, *USAGE_FIELDS)
_NO_TOKENS = (0,) * len(USAGE_FIELDS)
_tokens_of = attrgetter(*USAGE_FIELDS)
_NOTHING = (0,) * len(TOTAL_FIELDS)


def counts_of(kind: CallKind, quote_nanos: int | None, settlement: Settlement | None) -> tuple[int, ...]:
    """What one call adds to a total, in the order of TOTAL_FIELDS: a call in flight its quote, a settled one its charge.

    A sub-agent's part is no call of its own and adds nothing.
    """
    if kind is CallKind.CHILD:
        return _NOTHING
    ones = (1, 0) if kind is CallKind.MODEL else (0, 1)
    if settlement is None:
        return (*ones, 0, 0, 0, 0, 0, quote_nanos or 0, *_NO_TOKENS)
    cost, certainty = settlement.cost_nanos or 0, settlement.certainty
    usage = settlement.usage
    tokens = _NO_TOKENS if usage is None else _tokens_of(usage)
    if certainty is Certainty.EXACT:
        return (*ones, 0, cost, cost, 0, 0, 0, *tokens)
    if certainty is Certainty.UNPRICED:
        return (*ones, 1, cost, 0, 0, 0, 0, *tokens)
    if certainty is Certainty.ASSUMED:
        return (*ones, 0, cost, 0, 0, cost, 0, *tokens)
    return (*ones, 0, cost, 0, cost, 0, 0, *tokens)


def total_of(call: CallRecord) -> Total:
    """What one call adds."""
    return Total.of(counts_of(call.kind, call.quote_nanos, call.settlement))


def quarter_hour_of(at: datetime) -> str:
    """The quarter of an hour that an instant lies in, as the key of a total: its first instant (UTC) in ISO 8601.

    Days of every zone in use begin at one, so that sums by quarter hours give sums by day in any zone.
    """
    at = at.astimezone(UTC)
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0).isoformat()


def dimension_of(name: str) -> Callable[[CallRecord], str | None]:
    """How to read a dimension of a call.

    Args:
        name: a dimension of attribution; "model" (the one that answered, else the one asked), "tool", "provider", "kind",
            "quarter_hour" (see `quarter_hour_of`), "conversation" (the session, else the run, else the call);
            any other word, or "tag:WORD", is the key of a tag.
    """
    known = _SPECIAL.get(name)
    return known if known is not None else lambda call: call.attribution.value(name)


def model_of(call: CallRecord) -> str | None:
    """The model that answered, else the one asked; None for tools."""
    if call.kind is not CallKind.MODEL:
        return None
    answered = call.settlement.model_answered if call.settlement is not None else None
    return answered or call.name


def conversation_of(call: CallRecord) -> str:
    """The session of a call; the run is the session where none was named, and a call without either is its own."""
    return call.attribution.session or call.attribution.run or call.id


_SPECIAL: Mapping[str, Callable[[CallRecord], str | None]] = {
    "model": model_of,
    "tool": lambda call: call.name if call.kind is CallKind.TOOL else None,
    "provider": lambda call: call.provider,
    "kind": lambda call: call.kind.value,
    "quarter_hour": lambda call: quarter_hour_of(call.started_at),
    "conversation": conversation_of,
}


def totals_of(calls: Iterable[CallRecord], by: Sequence[str]) -> dict[TotalKey, Total]:
    """Sums of paid calls by dimensions, worked out call by call: the truth that every roll-up must equal."""
    readers, sums = [dimension_of(name) for name in by], dict[TotalKey, list[int]]()
    for call in calls:
        if not call.is_paid:
            continue
        key = tuple([read(call) for read in readers])
        adds = counts_of(call.kind, call.quote_nanos, call.settlement)
        kept = sums.get(key)
        if kept is None:
            sums[key] = list(adds)
            continue
        for place, amount in enumerate(adds):
            if amount:
                kept[place] += amount
    return {key: Total.of(counts) for key, counts in sums.items()}


def costs_of(totals: Mapping[TotalKey, Total]) -> dict[TotalKey, int]:
    """Their charges alone."""
    return {key: total.cost_nanos for key, total in totals.items()}


def latest_sessions(calls: Iterable[CallRecord], limit: int | None) -> tuple[tuple[str, str], ...]:
    """(app, conversation) of calls by their latest admission, the newest first; equal instants by name."""
    latest: dict[tuple[str, str], datetime] = {}
    for call in calls:
        key = (call.attribution.app, conversation_of(call))
        if key not in latest or call.started_at > latest[key]:
            latest[key] = call.started_at
    ordered = sorted(sorted(latest), key=latest.__getitem__, reverse=True)
    return tuple(ordered[:limit] if limit else ordered)
