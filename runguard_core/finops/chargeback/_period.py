"""A period's statements, from a ledger: what was closed, or what would be closed now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from runguard_core.finops import Window
from runguard_core.finops.chargeback._allocating import statements_of
from runguard_core.finops.chargeback._closing import Closing
from runguard_core.finops.chargeback._correcting import differences, with_corrections
from runguard_core.finops.chargeback._rows import read_rows
from runguard_core.finops.chargeback._rules import ChargingRules
from runguard_core.finops.chargeback._statement import LineKind, Party, PartyKind, Statement
from runguard_core.ledger import CallFilter, CallState, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodStatements:
    """All statements of a period.

    Attributes:
        window: the period. app: whose calls; None: of all.
        rules, statements: of the closing, or as of now.
        closing: None while it is open: then this is a preview.
    """

    window: Window
    app: str | None
    rules: ChargingRules
    statements: tuple[Statement, ...]
    closing: Closing | None = None

    @property
    def nanos(self) -> int:
        """What the statements add up to: the period's spend and the corrections of earlier ones."""
        return sum(statement.nanos for statement in self.statements)

    @property
    def spend_nanos(self) -> int:
        """Of it the period's own spend: to the nano-USD what the ledger said."""
        return sum(statement.own_nanos for statement in self.statements)

    def of_team(self, team: str) -> Statement | None:
        """A team's statement."""
        return next((it for it in self.statements if it.party == Party(PartyKind.TEAM, team)), None)

    def corrected_periods(self) -> tuple[str, ...]:
        """Which closed periods it corrects."""
        lines = [line for statement in self.statements for line in statement.lines]
        return tuple(sorted({line.name for line in lines if line.kind is LineKind.CORRECTION}))


def period_statements(
    store: Store, window: Window, app: str | None, rules: ChargingRules, closings: Sequence[Closing]
) -> PeriodStatements:
    """Statements of a period: as they were closed, else as the ledger and the rules are now.

    Args:
        closings: of the same app (see `read_closings`).
    """
    closing = next((it for it in closings if it.period == window.name), None)
    if closing is not None:
        kept = replace(window, start=closing.start, end=closing.end)  # in whichever time zone it was closed
        return PeriodStatements(window=kept, app=app, rules=closing.rules, statements=closing.statements, closing=closing)
    own = statements_of(read_rows(store, app, window.start, window.end), rules)
    corrections = {}
    for earlier in closings:
        if earlier.start < window.start:
            now = statements_of(read_rows(store, app, earlier.start, earlier.end), earlier.rules)
            corrections[earlier.period] = differences(earlier, now, closings)
    return PeriodStatements(window=window, app=app, rules=rules, statements=with_corrections(own, corrections))


def reasons_to_wait(store: Store, window: Window, app: str | None, closings: Sequence[Closing], now: datetime) -> tuple[str, ...]:
    """Why a period should not be closed yet; empty where nothing speaks against it."""
    found = [f"{window.name} is not over before {window.end:%Y-%m-%d %H:%M} UTC"] if now < window.end else []
    pending = store.calls(CallFilter(app=app, state=CallState.PENDING, since=window.start, until=window.end))
    if pending:
        found.append(f"{len(pending)} of its calls {'is' if len(pending) == 1 else 'are'} in flight, the first {pending[0].id}")
    return (*found, *_torn_edges(window, closings))


def _torn_edges(window: Window, closings: Sequence[Closing]) -> list[str]:
    """Closed periods that overlap it, or leave a gap before or after it: a time zone that changed between them does that."""
    before, after = (f"{day:%Y-%m}" for day in (window.first_day - timedelta(days=1), window.end_day))
    others = [it for it in closings if it.period != window.name]
    torn = [it.period for it in others if it.start < window.end and window.start < it.end]
    torn += [it.period for it in others if it.period == before and it.end < window.start]
    torn += [it.period for it in others if it.period == after and it.start > window.end]
    return [
        f"{period} was closed in another time zone: calls at its edge would be charged twice or not at all" for period in torn
    ]
