"""Closing a period: once, by an event whose id is a claim and whose facts are the statements' exact amounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from runguard_core.events import NOTICE, PERIOD_CLOSED
from runguard_core.finops import Window
from runguard_core.finops.chargeback._rules import ChargingRules, rules_json, rules_of
from runguard_core.finops.chargeback._statement import Basis, Line, LineKind, Party, PartyKind, Statement
from runguard_core.ledger import Event, EventFilter, Store
from runguard_core.money import format_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A period that was closed; it never changes.

    Attributes:
        period: its name ("2026-10"). start, end: first instant and first instant after (UTC).
        app: whose calls; None: of all apps of the ledger.
        rules, statements: as they were then.
        at, by, reason: when and by whom it was closed; why although it was not over or calls were in flight, "" without need.
        policy_hash: of the policy then.
    """

    period: str
    start: datetime
    end: datetime
    app: str | None
    rules: ChargingRules
    statements: tuple[Statement, ...]
    at: datetime
    by: str
    reason: str = ""
    policy_hash: str = ""


def closing_event(
    window: Window, app: str | None, rules: ChargingRules, statements: Sequence[Statement], *, by: str, at: datetime,
    reason: str = "", policy_hash: str = "",
) -> Event:  # fmt: skip
    """What closes a period. Whoever announces it first has closed it; the second is not written."""
    nanos = sum(statement.nanos for statement in statements)
    claim = blake2b("\0".join((window.name, app or "*")).encode("utf-8", "replace"), digest_size=8).hexdigest()
    return Event(
        id=f"pc-{claim}", kind=PERIOD_CLOSED, at=at, severity=NOTICE,
        message=f"period {window.name} of {app or 'all apps'} is closed at {format_usd(nanos)} by {by}", app=app or "*",
        facts={
            "period": window.name, "start": window.start.isoformat(), "end": window.end.isoformat(), "scope": app,
            "by": by, "reason": reason, "policy_hash": policy_hash, "rules": rules_json(rules), "nanos": str(nanos),
            "statements": [_statement_facts(it) for it in statements],
        },
    )  # fmt: skip


def closings_of(events: Iterable[Event], app: str | None) -> tuple[Closing, ...]:
    """Closed periods of an app, or of the whole ledger; by their start."""
    found = [_closing(event) for event in events if event.kind == PERIOD_CLOSED and event.facts["scope"] == app]
    return tuple(sorted(found, key=lambda closing: closing.start))


def read_closings(store: Store, app: str | None) -> tuple[Closing, ...]:
    """The same, from a ledger."""
    return closings_of(store.events(EventFilter(kinds=(PERIOD_CLOSED,))), app)


def scopes_of(events: Iterable[Event], period: str) -> tuple[str | None, ...]:
    """Apps whose period of that name is closed; None is all apps together."""
    return tuple(event.facts["scope"] for event in events if event.kind == PERIOD_CLOSED and event.facts["period"] == period)


def _closing(event: Event) -> Closing:
    facts = event.facts
    return Closing(
        period=facts["period"], start=datetime.fromisoformat(facts["start"]), end=datetime.fromisoformat(facts["end"]),
        app=facts["scope"], rules=rules_of(facts["rules"]), at=event.at, by=facts["by"], reason=facts["reason"],
        policy_hash=facts["policy_hash"], statements=tuple(_statement(it) for it in facts["statements"]),
    )  # fmt: skip


_COUNTS = ("call_count", "token_count", "unpriced_count")


def _statement_facts(statement: Statement) -> dict[str, Any]:
    return {
        "kind": statement.party.kind.value, "name": statement.party.name, "lines": [_line_facts(it) for it in statement.lines]
    }  # fmt: skip


def _line_facts(line: Line) -> dict[str, Any]:
    basis = line.basis
    return {
        "kind": line.kind.value, "name": line.name, "nanos": str(line.nanos), "unsure_nanos": str(line.unsure_nanos),
        **{name: getattr(line, name) for name in _COUNTS},
        "basis": None if basis is None else {"unit": basis.unit, "quantity": str(basis.quantity), "ratio": f"{basis.ratio:f}"},
    }  # fmt: skip


def _statement(facts: Mapping[str, Any]) -> Statement:
    return Statement(Party(PartyKind(facts["kind"]), facts["name"]), tuple(_line(it) for it in facts["lines"]))


def _line(facts: Mapping[str, Any]) -> Line:
    basis = facts["basis"]
    return Line(
        kind=LineKind(facts["kind"]), name=facts["name"], nanos=int(facts["nanos"]), unsure_nanos=int(facts["unsure_nanos"]),
        **{name: facts[name] for name in _COUNTS},
        basis=None if basis is None else Basis(basis["unit"], int(basis["quantity"]), Decimal(basis["ratio"])),
    )  # fmt: skip
