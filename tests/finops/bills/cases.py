"""A bill and a ledger that are alike until something is planted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from runguard_core.calls import CallKind
from runguard_core.finops.bills import (
    DIMENSIONS,
    Difference,
    DifferenceKind,
    KeyRing,
    Reconciliation,
    Valuer,
    read_report,
    reconcile,
    rows_of_totals,
)
from runguard_core.ledger import CallRecord, totals_of
from tests.finops.bills.making import COSTS, USAGE, Part, project_of
from tests.finops.bills.shop import BUSY, DAY, DAYS, KEYS, PRICES, START, Row, calls_of

K = DifferenceKind


@dataclass
class Case:
    """A provider's bill and a ledger, alike until something is planted."""

    provider: str
    parts: list[Part]
    rows: list[Row]
    costs: dict[str, Any]

    @property
    def feature(self) -> str:
        return BUSY[self.provider][0]

    @property
    def model(self) -> str:
        return BUSY[self.provider][1]

    def part(self, day: date = DAY) -> Part:
        """The busy feature's part of a day."""
        return next(one for one in self.parts if one.day == day and one.project == project_of(self.feature))

    def is_busy(self, record: CallRecord, day: date = DAY) -> bool:
        return record.kind is CallKind.MODEL and record.attribution.feature == self.feature and record.started_at.date() == day

    def run(self, *, with_usage: bool = True, with_costs: bool = True) -> Reconciliation:
        """Reconcile; the money of the differences is the money between bill and ledger, to the nano-dollar."""
        days = [START.date() + timedelta(days=number) for number in range(DAYS)]
        files = [("usage.json", USAGE[self.provider](self.parts, days))] if with_usage else []
        files += [("costs.json", COSTS[self.provider](self.parts, days, **self.costs))] if with_costs else []
        bill = read_report(files, self.provider)
        ring = KeyRing(KEYS, self.provider)
        books = rows_of_totals(totals_of(calls_of(self.rows), DIMENSIONS), ring, has_hour=bill.has_hour)
        found = reconcile(bill, books, ring, Valuer(PRICES, self.provider))
        if with_costs:
            assert sum(one.net_nanos for one in found.differences) == found.billed_nanos - found.booked_nanos
        if with_usage:
            counted = sum(sum(count for _, count in one.tokens) for one in found.differences if one.kind is not K.DAY_BOUNDARY)
            assert counted == found.billed_tokens - found.booked_tokens
        return found


def only(found: Reconciliation) -> Difference:
    """The one difference."""
    assert len(found.differences) == 1, found.differences
    return found.differences[0]
