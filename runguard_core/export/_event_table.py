"""The table of events: a row for each thing the guard or a person announced."""

from __future__ import annotations

import json

from runguard_core.export._table import Column, Kind, Row, Table
from runguard_core.ledger import Event

_TEXT = Kind.TEXT
EVENTS = Table(
    "events",
    1,
    (
        Column("kind", _TEXT, "what happened: call_refused, run_tripped, anomaly_opened, budget_threshold, killed, ...", True),
        Column("happened_at", Kind.INSTANT, "when", True),
        Column("severity", _TEXT, "notice, warn or stop", True),
        Column("message", _TEXT, "one sentence for people", True),
        Column("app", _TEXT, "the program", True),
        Column("feature", _TEXT, "of the call or episode it speaks of"),
        Column("agent", _TEXT, "of the call or episode it speaks of"),
        Column("session", _TEXT, "the conversation"),
        Column("run", _TEXT, "one root invocation of an agent"),
        Column("call_id", _TEXT, "the call it speaks of: `id` in calls or tool-calls"),
        Column("facts", Kind.JSON, "numbers and names by key; amounts are texts of whole nano-USD, or of the unit", True),
    ),
    "an event of the ledger's log; never changed once written",
)


def event_row(event: Event) -> Row:
    """A row of EVENTS, `revision` left out."""
    return (
        event.id, event.kind, event.at, event.severity, event.message, event.app, event.feature, event.agent, event.session,
        event.run, event.call_id, json.dumps(dict(event.facts), separators=(",", ":"), default=str),
    )  # fmt: skip
