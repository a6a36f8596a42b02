"""Which ledgers of a fleet are missing from its sums, or have not been heard of for too long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runguard_core.ledger import Source

#: A ledger that was not shipped for so long is late; ship more often than that (a timer every ten minutes leaves room).
LATE_AFTER = timedelta(hours=1)


class Standing(StrEnum):
    """How a ledger of the fleet stands."""

    FRESH = "fresh"
    LATE = "late"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Judged:
    """A ledger of the fleet and how it stands.

    Attributes:
        name: the host, or what was expected and never came.
        standing: FRESH, LATE, or MISSING.
        source: None when it is missing.
    """

    name: str
    standing: Standing
    source: Source | None = None


def judge(sources: Iterable[Source], expected: Sequence[str], now: datetime, late_after: timedelta = LATE_AFTER) -> list[Judged]:
    """Every ledger that was shipped and every one expected, those that are missing or late first, then by name.

    Args:
        expected: hosts, or ids or places of ledgers.
    """
    sources = list(sources)
    found = [Judged(s.host, Standing.LATE if now - s.shipped_at > late_after else Standing.FRESH, s) for s in sources]
    known = {name for source in sources for name in (source.host, source.ledger, source.place)}
    found += [Judged(name, Standing.MISSING) for name in dict.fromkeys(expected) if name not in known]
    order = [Standing.MISSING, Standing.LATE, Standing.FRESH]
    return sorted(
        found, key=lambda judged: (order.index(judged.standing), judged.name, judged.source.place if judged.source else "")
    )


def stale(judged: Iterable[Judged]) -> list[Judged]:
    """Those without which sums say too little."""
    return [one for one in judged if one.standing is not Standing.FRESH]
