"""An opportunity: what would make a feature cheaper, in dollars of the reviewed week, and how to check it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from runguard_core.calls import CallKind
from runguard_core.errors import UnknownModelError
from runguard_core.ledger import CallRecord, Total
from runguard_core.prices import PriceBook
from runguard_core.usage import Usage

#: The calls of one session, in the order in which they were admitted.
Session = tuple[CallRecord, ...]


class OpportunityKind(StrEnum):
    """What money is spent on that need not be."""

    FAILED_ATTEMPTS = "failed attempts"
    UNUSUAL_MODEL = "unusual model"
    CACHE_MISSES = "cache misses"
    RESENT_RESULTS = "re-sent tool results"
    LONG_HISTORIES = "long histories"
    SHORT_ANSWERS = "short answers"


@dataclass(frozen=True, slots=True)
class Opportunity:
    """One of them.

    Attributes:
        nanos: what it would have saved in the week, at least: of the sessions that were read (see `Sample`), nano-USD.
        sentence: what was seen, with its figures. check: how to see it oneself, or to try it.
    """

    kind: OpportunityKind
    nanos: int
    sentence: str
    check: str


@dataclass(frozen=True, slots=True)
class Listed:
    """What models cost, by one list at one time: a week's opportunities are compared by the same prices."""

    book: PriceBook
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What opportunities of a feature are looked for in.

    Attributes:
        feature: whose. sessions: its dearest of the week, the dearest first.
        total: its whole week. models: its models of the week, usual_models: of the weeks before, by (provider, model).
        offered: models that the ledger knows of the week, by (provider, model).
        prices: what models cost.
    """

    feature: str
    sessions: Sequence[Session]
    prices: Listed
    total: Total = field(default_factory=Total)
    models: Mapping[tuple[str, str], Total] = field(default_factory=dict)
    usual_models: Mapping[tuple[str, str], Total] = field(default_factory=dict)
    offered: Sequence[tuple[str, str]] = ()

    @property
    def model_calls(self) -> list[CallRecord]:
        """Charged model calls of the sessions with known tokens."""
        return [call for session in self.sessions for call in session if is_charged(call)]

    @property
    def nanos(self) -> int:
        """What the sessions that were read cost."""
        return sum(call.cost_nanos for session in self.sessions for call in session)


def is_charged(call: CallRecord) -> bool:
    """Whether a model call cost something and says how many tokens it had."""
    settled = call.settlement
    return call.kind is CallKind.MODEL and settled is not None and settled.usage is not None and bool(settled.cost_nanos)


def usage_of(call: CallRecord) -> Usage:
    """The tokens of a charged call."""
    settled = call.settlement
    return settled.usage if settled is not None and settled.usage is not None else Usage()


def model_of(call: CallRecord) -> str:
    """The model that answered, else the one asked."""
    settled = call.settlement
    return (settled.model_answered if settled is not None else None) or call.name


def repriced(call: CallRecord, prices: Listed, usage: Usage, model: str | None = None) -> int | None:
    """What a call would have cost with other tokens or on another model: its charge in the proportion of the list prices.

    None where a price is not known. Discounts of the charge are kept, as it is a proportion.
    """
    own = model_of(call)
    try:
        listed = prices.book.rates(own, call.provider, prices.at).charge(usage_of(call))
        other = prices.book.rates(model or own, call.provider, prices.at).charge(usage)
    except UnknownModelError:
        return None
    return call.cost_nanos * other // listed if listed else None


def saved(call: CallRecord, prices: Listed, usage: Usage, model: str | None = None) -> int:
    """What that saves, nano-USD; less than nothing where it costs more, 0 where a price is not known."""
    other = repriced(call, prices, usage, model)
    return 0 if other is None else call.cost_nanos - other


def shortened(usage: Usage, tokens: int) -> Usage:
    """A prompt without so many of its tokens; those from the cache first, as they cost least."""
    cut = min(tokens, usage.input_tokens)
    return replace(
        usage,
        input_tokens=usage.input_tokens - cut,
        cache_read_input_tokens=max(usage.cache_read_input_tokens - cut, 0),
        cache_creation_input_tokens=min(usage.cache_creation_input_tokens, usage.input_tokens - cut),
    )


def followed(session: Session) -> list[tuple[CallRecord | None, CallRecord]]:
    """Each charged model call of a session with the one before it of the same agent instance and model."""
    lanes: dict[tuple[str | None, str | None, str], list[CallRecord]] = {}
    for call in session:
        if is_charged(call):
            lanes.setdefault((call.attribution.agent, call.attribution.instance, model_of(call)), []).append(call)
    return [pair for lane in lanes.values() for pair in pairwise([None, *lane]) if pair[1] is not None]  # type: ignore[misc]  # the second is a call
