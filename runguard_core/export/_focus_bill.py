"""The lines of a bill: charges by day, feature, team, model and token class, which add up to the ledger to the nano-dollar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal
from enum import StrEnum

from runguard_core.attribution import UNATTRIBUTED, feature_of
from runguard_core.calls import CallKind, Certainty
from runguard_core.errors import UnknownModelError
from runguard_core.export._token_classes import (
    PriceRow,
    TokenClass,
    class_counts,
    coefficient,
    price_row,
    unit_price,
)
from runguard_core.ledger import CallRecord, Settlement, model_of
from runguard_core.money import split
from runguard_core.prices import PriceBook, Rates, RateTable
from runguard_core.usage import NO_USAGE, Usage


class Basis(StrEnum):
    """Where a charge comes from: LISTED is tokens at a price; RECORDED an amount that the ledger has from elsewhere."""

    LISTED = "listed"
    RECORDED = "recorded"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What a policy says of prices.

    Attributes:
        book: its prices; listed: the price list without its overrides. assumed: rates of models without a price, None without.
        tool_nanos: price of a tool call by its name, nano-USD.
    """

    book: PriceBook
    listed: PriceBook = field(default_factory=PriceBook)
    assumed: Rates | None = None
    tool_nanos: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Key:
    """Charges that share everything but the token class. `table` are the prices agreed on, `listed` those of the list."""

    day: str
    app: str
    feature: str
    team: str
    provider: str
    name: str
    kind: CallKind
    certainty: Certainty
    basis: Basis
    tier: str | None
    table: RateTable | None
    listed: RateTable | None
    more: tuple[str | None, ...]

    @property
    def order(self) -> tuple[str, ...]:
        """Sorts lines the same every time."""
        return tuple([str(part) for part in (
            self.day, self.app, self.feature, self.team, self.provider, self.name, self.kind, self.certainty, self.basis,
            self.tier, self.more, self.table, self.listed,
        )])  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One line.

    Attributes:
        day: UTC date; name: model or tool; token_class: what of it. more: values of the dimensions asked for on top, in order.
        count: tokens, searches or requests (of WHOLE: calls).
        nanos: charged, nano-USD. list_price, agreed_price: USD per million tokens, per search, per request; of WHOLE 1.
    """

    day: str
    app: str
    feature: str
    team: str
    provider: str
    name: str
    kind: CallKind
    certainty: Certainty
    basis: Basis
    tier: str | None
    token_class: TokenClass
    count: int
    nanos: int
    list_price: Decimal
    agreed_price: Decimal
    more: tuple[str | None, ...]


class _Sum:
    """What a key has gathered."""

    __slots__ = ("call_count", "counts", "nanos")

    def __init__(self) -> None:
        self.call_count, self.nanos = 0, 0
        self.counts: dict[TokenClass, int] = {}


def bill_lines(calls: Iterable[CallRecord], pricing: Pricing, by: Sequence[str] = ()) -> Iterator[BillLine]:
    """Lines in a steady order. Their `nanos` add up to what the calls are charged in the ledger.

    Args:
        calls: of any kind and order, read once; what is in flight, voided, answered from a cache or free of charge and tokens
            makes no line.
        by: dimensions that tell lines apart besides the day, app, feature, team and model.
    """
    sums: dict[_Key, _Sum] = {}
    for call in calls:
        ended = call.settlement
        if ended is None or not call.is_paid:
            continue
        counts = class_counts(ended.usage) if ended.usage is not None else {}
        if not counts and not call.cost_nanos:
            continue
        key = _key(call, ended, pricing, by)
        found = sums.setdefault(key, _Sum())
        found.call_count += 1
        found.nanos += call.cost_nanos
        for kind, count in counts.items():
            found.counts[kind] = found.counts.get(kind, 0) + count
    for key in sorted(sums, key=lambda one: one.order):
        yield from _lines(key, sums[key])


def _key(call: CallRecord, ended: Settlement, pricing: Pricing, by: Sequence[str]) -> _Key:
    who, cost = call.attribution, call.cost_nanos
    day = call.started_at.astimezone(UTC).date().isoformat()
    more = tuple([who.value(name) for name in by])
    feature, team = feature_of(who), who.team or UNATTRIBUTED
    if call.kind is CallKind.TOOL:
        price = pricing.tool_nanos.get(call.name)
        table = RateTable((0,) * 12, cost * 10**6) if price == cost else None
        basis = Basis.RECORDED if table is None else Basis.LISTED
        return _Key(day, who.app, feature, team, who.app, call.name, call.kind, ended.certainty, basis, None, table, table, more)
    rates, listed = _rates(call, pricing)
    row, its_list = _prices(rates, listed, ended.usage, cost)
    basis = Basis.LISTED if row is not None and row.is_charged else Basis.RECORDED
    if rates is None and ended.cost_nanos is None:
        basis = Basis.UNPRICED
    provider = call.provider or (rates.provider_id if rates is not None and rates.provider_id != "policy" else "unknown")
    return _Key(
        day, who.app, feature, team, provider, model_of(call) or call.name, call.kind, ended.certainty, basis,
        row.tier if row is not None else None, row.table if row is not None else None, its_list, more,
    )  # fmt: skip


def _rates(call: CallRecord, pricing: Pricing) -> tuple[Rates | None, Rates | None]:
    """Agreed and listed rates, found as they were when the call was charged: by the model that answered, unless the policy prices
    the one that was asked for.
    """
    name = model_of(call) or call.name
    if pricing.book.override(call.name) is not None and pricing.book.override(name) is None:
        name = call.name
    agreed = _found(pricing.book, name, call) or _found(pricing.book, call.name, call) or pricing.assumed
    return agreed, _found(pricing.listed, name, call)


def _found(book: PriceBook, name: str, call: CallRecord) -> Rates | None:
    try:
        return book.rates(name, call.provider, call.started_at)
    except UnknownModelError:
        return None


def _prices(
    rates: Rates | None, listed: Rates | None, usage: Usage | None, cost: int
) -> tuple[PriceRow | None, RateTable | None]:
    """The agreed table and the list's for the same tier and size of prompt; the agreed one where no list has the model.

    A call without tokens has prices only where one by the request is what was charged.
    """
    if rates is None:
        return None, None
    row = price_row(rates, usage or NO_USAGE, cost)
    if usage is None and not (row.is_charged and cost):
        return None, None
    if listed is None:
        return row, row.table
    its = listed.by_service_tier.get(row.tier or "", listed)
    return row, its.table((usage or NO_USAGE).input_tokens)


def _lines(key: _Key, found: _Sum) -> Iterator[BillLine]:
    counts = {kind: found.counts[kind] for kind in TokenClass if kind in found.counts}
    if key.table is not None and key.table.per_request:
        counts[TokenClass.REQUEST] = found.call_count
    if not counts:
        counts[TokenClass.WHOLE] = found.call_count
    for (kind, count), nanos in zip(counts.items(), split(found.nanos, _weights(key, counts)), strict=True):
        yield BillLine(
            day=key.day, app=key.app, feature=key.feature, team=key.team, provider=key.provider, name=key.name, kind=key.kind,
            certainty=key.certainty, basis=key.basis, tier=key.tier, token_class=kind, count=count, nanos=nanos,
            list_price=_price(key.listed, kind), agreed_price=_price(key.table, kind), more=key.more,
        )  # fmt: skip


def _weights(key: _Key, counts: Mapping[TokenClass, int]) -> list[int]:
    """By price; by number where nothing has one."""
    if key.table is None:
        return list(counts.values())
    weights = [count * coefficient(key.table, kind) for kind, count in counts.items()]
    return weights if any(weights) else list(counts.values())


def _price(table: RateTable | None, kind: TokenClass) -> Decimal:
    if kind is TokenClass.WHOLE:
        return Decimal(1)
    return Decimal(0) if table is None else unit_price(table, kind)
