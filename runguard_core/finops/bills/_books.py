"""The ledger's side: tokens by class and money per UTC day, payer and model, and what lies near midnight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from runguard_core.attribution import feature_of
from runguard_core.calls import CallKind
from runguard_core.finops.bills._keys import KeyRing, Payer
from runguard_core.finops.bills._lines import Tokens, tokens_of
from runguard_core.ledger import CallRecord, Total, TotalKey, model_of, total_of

#: Calls so near to midnight may be on the neighbouring day of a bill: the ledger files a call when it begins, a provider when it
#: has counted it.
NEAR_MIDNIGHT = timedelta(hours=1)
#: What `rows_of_totals` asks `Store.totals` for.
DIMENSIONS = ("quarter_hour", "provider", "model", "app", "feature", "team")


@dataclass(slots=True)
class BookRow:
    """What the ledger says of one payer and model on one day.

    Attributes:
        tokens: by class; early, late: the part of calls that began in the first and the last hour of the day.
        nanos, early_nanos, late_nanos: charged, and the parts of these hours. unsure_nanos: estimated or assumed.
        call_count: model calls; unpriced_count: of them without a price. reasoning_tokens: part of the output.
    """

    tokens: Tokens = field(default_factory=Tokens)
    early: Tokens = field(default_factory=Tokens)
    late: Tokens = field(default_factory=Tokens)
    nanos: int = 0
    unsure_nanos: int = 0
    call_count: int = 0
    unpriced_count: int = 0
    reasoning_tokens: int = 0

    def add(self, at: datetime, total: Total, *, has_hour: bool) -> None:
        """More calls that began at an instant, or in a quarter of an hour."""
        tokens = tokens_of(total.usage, has_hour=has_hour)
        self.tokens.update(tokens)
        since = at - at.replace(hour=0, minute=0, second=0, microsecond=0)
        if since < NEAR_MIDNIGHT:
            self.early.update(tokens)
        if since >= timedelta(days=1) - NEAR_MIDNIGHT:
            self.late.update(tokens)
        self.nanos += total.cost_nanos
        self.unsure_nanos += total.estimated_nanos + total.assumed_nanos
        self.call_count += total.call_count
        self.unpriced_count += total.unpriced_count
        self.reasoning_tokens += total.usage.reasoning_output_tokens

    def merge(self, other: BookRow) -> None:
        """Add another row."""
        for name in ("tokens", "early", "late"):
            getattr(self, name).update(getattr(other, name))
        for name in ("nanos", "unsure_nanos", "call_count", "unpriced_count", "reasoning_tokens"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


#: (day, provider, model, payer)
BookKey = tuple[date, str | None, str, Payer]
Books = dict[BookKey, BookRow]


def rows_of_totals(totals: Mapping[TotalKey, Total], ring: KeyRing, *, has_hour: bool) -> Books:
    """From sums by DIMENSIONS. Tools have no model and are on no provider's bill."""
    books: Books = {}
    for (quarter, provider, model, app, feature, team), total in totals.items():
        if model is not None and quarter is not None:
            at = datetime.fromisoformat(quarter)
            key = (at.date(), provider, model, ring.of_call(feature or app, team))
            books.setdefault(key, BookRow()).add(at, total, has_hour=has_hour)
    return books


def rows_of_calls(calls: Iterable[CallRecord], ring: KeyRing, *, has_hour: bool) -> Books:
    """From calls one by one, where the policy names keys by what only calls carry."""
    books: Books = {}
    for call in calls:
        if call.kind is CallKind.MODEL:
            key = (call.started_at.date(), call.provider, model_of(call) or call.name, payer_of(call, ring))
            books.setdefault(key, BookRow()).add(call.started_at, total_of(call), has_hour=has_hour)
    return books


def payer_of(call: CallRecord, ring: KeyRing) -> Payer:
    """Whose a call is, as `rows_of_calls` and `rows_of_totals` say."""
    who = call.attribution
    if not ring.asks_calls:
        return ring.of_call(feature_of(who), who.team)
    return ring.of_call(feature_of(who), who.team, call.account, call.key_fingerprint)
