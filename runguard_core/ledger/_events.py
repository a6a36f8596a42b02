"""A line of the event log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something the guard announces; kept in the ledger and sent to listeners.

    Attributes:
        id: time-ordered id.
        kind: see `runguard_core.events`.
        at: when (UTC).
        severity: "notice", "warn" or "stop".
        message: one sentence for people.
        app, session, run, agent, feature: whom it concerns.
        call_id: the call it speaks of, if any.
        facts: numbers and names by key; amounts as strings of nano-USD or of the unit. JSON types only.
    """

    id: str
    kind: str
    at: datetime
    severity: str
    message: str
    app: str
    session: str | None = None
    run: str | None = None
    agent: str | None = None
    feature: str | None = None
    call_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
