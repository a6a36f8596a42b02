"""Which calls and events somebody asks for: `CallFilter`, `EventFilter`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from runguard_core.ledger._calls import CallState
from runguard_core.ledger._events import Event


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to read; None means any.

    Attributes:
        kinds: see `runguard_core.events`.
        since, until: on `at`, the first inclusive, the second exclusive (UTC).
        limit: at most so many, the latest.
    """

    app: str | None = None
    session: str | None = None
    kinds: Collection[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None

    def allows(self, event: Event) -> bool:
        """Whether it is one of them, the limit aside."""
        return (
            (self.session is None or event.session == self.session)
            and (self.app is None or event.app == self.app)
            and (self.kinds is None or event.kind in self.kinds)
            and (self.since is None or event.at >= self.since)
            and (self.until is None or event.at < self.until)
        )


ALL_EVENTS = EventFilter()
