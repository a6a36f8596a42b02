"""What is compared with what: lines and rows brought to the detail that both sides have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from runguard_core.finops.bills._books import BookRow, Books
from runguard_core.finops.bills._keys import ANYONE, KeyRing, Payer
from runguard_core.finops.bills._lines import BillLine, Tokens
from runguard_core.values import value

_STAMP = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8})$")
#: (payer, model)
Subject = tuple[Payer, str | None]


def family(model: str) -> str:
    """A model without the date of its version and without the provider in front: bills name the one that answered."""
    return _STAMP.sub("", model.strip().lower().rpartition("/")[2])


@value()
class Detail:
    """What a report is grouped by: whether its lines name payers, and models."""

    has_payers: bool
    has_models: bool

    @classmethod
    def of(cls, lines: Sequence[BillLine], ring: KeyRing) -> Detail:
        """The detail that every line of tokens has; payers count where a line names one that the policy knows."""
        payers = any(ring.of_line(line) != ANYONE for line in lines)
        counted = [line for line in lines if line.tokens or line.token_class is not None] or list(lines)
        return cls(payers, bool(counted) and all(line.model is not None for line in counted))

    def within(self, other: Detail) -> Detail:
        """No finer than the other."""
        return Detail(self.has_payers and other.has_payers, self.has_models and other.has_models)

    def subject(self, payer: Payer, model: str | None) -> Subject:
        """What is compared as one."""
        return (payer if self.has_payers else ANYONE, family(model) if self.has_models and model is not None else None)


@dataclass(slots=True)
class BilledRow:
    """What the bill says of one subject on one day.

    Attributes:
        tokens: by class; request_count: None where the report has none.
        nanos, slack_nanos: money; tiers: service tiers other than the ordinary; ids: named by no entry of the policy.
        whats: the provider's words for money without tokens.
    """

    tokens: Tokens = field(default_factory=Tokens)
    request_count: int | None = None
    nanos: int = 0
    slack_nanos: int = 0
    tiers: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    whats: set[str] = field(default_factory=set)

    def add(self, line: BillLine, unknown: str | None) -> None:
        """One more line."""
        if line.token_class is not None and line.tokens:
            self.tokens[line.token_class] += line.tokens
        if line.request_count is not None:
            self.request_count = (self.request_count or 0) + line.request_count
        self.nanos += line.nanos
        self.slack_nanos += line.slack_nanos
        if line.tier is not None:
            self.tiers.add(line.tier)
        if unknown is not None:
            self.ids.add(unknown)
        if line.token_class is None and line.what:
            self.whats.add(line.what)


def billed(lines: Iterable[BillLine], ring: KeyRing, detail: Detail) -> dict[tuple[date, Subject], BilledRow]:
    """A bill's lines by day and subject."""
    rows: dict[tuple[date, Subject], BilledRow] = {}
    for line in lines:
        key = (line.day, detail.subject(ring.of_line(line), line.model))
        rows.setdefault(key, BilledRow()).add(line, ring.unknown_id(line))
    return rows


def booked(books: Books, detail: Detail) -> dict[tuple[date, Subject], BookRow]:
    """The ledger's rows by day and subject."""
    rows: dict[tuple[date, Subject], BookRow] = {}
    for (day, _, model, payer), row in books.items():
        rows.setdefault((day, detail.subject(payer, model)), BookRow()).merge(row)
    return rows
