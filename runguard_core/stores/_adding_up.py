"""Sums for stores that keep none: worked out from the calls whenever somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from runguard_core.ledger import CallFilter, CallRecord, Total, TotalKey, costs_of, dimension_of, latest_sessions, totals_of


class Carried(Protocol):
    """A sum that stands for dropped calls: the first of them without what is its own, and their total."""

    @property
    def call(self) -> CallRecord:
        """What they have in common."""
        ...

    @property
    def total(self) -> Total:
        """What they add up to."""
        ...


def carried_totals(carried: Iterable[Carried], by: Sequence[str]) -> dict[TotalKey, Total]:
    """Sums of dropped calls by dimensions."""
    readers, found = [dimension_of(name) for name in by], dict[TotalKey, Total]()
    for one in carried:
        if one.total.call_count + one.total.tool_count:
            key = tuple([read(one.call) for read in readers])
            found[key] = found[key] + one.total if key in found else one.total
    return found


def added(sums: dict[TotalKey, Total], more: Mapping[TotalKey, Total]) -> dict[TotalKey, Total]:
    """The first ones, with the others added to them."""
    for key, total in more.items():
        sums[key] = sums[key] + total if key in sums else total
    return sums


class AddsUp:
    """The verbs of a store that speak of sums, over its calls; the specification of every roll-up."""

    def calls(self, where: CallFilter) -> tuple[CallRecord, ...]:
        """See `Store.calls`."""
        raise NotImplementedError

    def totals(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, Total]:
        """See `Store.totals`."""
        return totals_of(self.calls(where), by)

    def costs(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, int]:
        """See `Store.costs`."""
        return costs_of(self.totals(by, where))

    def sessions(self, where: CallFilter) -> tuple[tuple[str, str], ...]:
        """See `Store.sessions`."""
        return latest_sessions(self.calls(replace(where, limit=None)), where.limit)
