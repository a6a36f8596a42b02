"""Which calls somebody asks for: `CallFilter`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from runguard_core.ledger._calls import CallState


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls to read; None means any.

    Attributes:
        since, until: on `started_at`, the first inclusive, the second exclusive (UTC).
        limit: at most so many, the latest.
    """

    app: str | None = None
    session: str | None = None
    run: str | None = None
    agent: str | None = None
    state: CallState | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
