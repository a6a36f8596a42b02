"""Corrections: what the ledger says of a closed period now, less what was closed and what was corrected since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runguard_core.finops.chargeback._closing import Closing
from runguard_core.finops.chargeback._statement import Line, LineKind, Party, Statement


def differences(closed: Closing, now: Iterable[Statement], closings: Iterable[Closing]) -> dict[Party, int]:
    """What each party still owes (or is owed, negative) for a closed period, nano-USD; nothing where nothing changed.

    Args:
        now: statements of the same period worked out again, by the rules of its closing.
        closings: all of the ledger; those after it may have corrected it before.
    """
    owed: dict[Party, int] = {}
    for statement in now:
        owed[statement.party] = owed.get(statement.party, 0) + statement.own_nanos
    for statement in closed.statements:
        owed[statement.party] = owed.get(statement.party, 0) - statement.own_nanos
    for other in closings:
        for statement in other.statements:
            posted = sum(it.nanos for it in statement.lines if it.kind is LineKind.CORRECTION and it.name == closed.period)
            owed[statement.party] = owed.get(statement.party, 0) - posted
    return {party: nanos for party, nanos in owed.items() if nanos}


def with_corrections(statements: Sequence[Statement], corrections: Mapping[str, Mapping[Party, int]]) -> tuple[Statement, ...]:
    """Statements with a line for each corrected period; a party may have nothing else.

    Args:
        corrections: by the corrected period's name.
    """
    lines = {statement.party: list(statement.lines) for statement in statements}
    for period in sorted(corrections):
        for party, nanos in corrections[period].items():
            lines.setdefault(party, []).append(Line(kind=LineKind.CORRECTION, name=period, nanos=nanos))
    return tuple(Statement(party, tuple(lines[party])) for party in sorted(lines, key=lambda party: party.place))
