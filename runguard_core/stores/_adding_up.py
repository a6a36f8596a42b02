"""Sums for stores that keep none: worked out from the calls whenever somebody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runguard_core.ledger import CallFilter, CallRecord, Total, TotalKey, costs_of, latest_sessions, totals_of


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
