"""Spend becomes statements: first what is a team's own, then parts of what is shared, then what nobody is named for.

Whatever the teams, the rules and the amounts: the statements add up to the spend, to the nano-USD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runguard_core.finops.chargeback._rows import SpendRow
from runguard_core.finops.chargeback._rules import ChargingRules, Method, ResidualRule, Shared
from runguard_core.finops.chargeback._splitting import ratios
from runguard_core.finops.chargeback._statement import UNATTRIBUTED_PARTY, Basis, Line, LineKind, Party, PartyKind, Statement
from runguard_core.money import split

_Rows = Mapping[Party, Sequence[SpendRow]]


def statements_of(rows: Iterable[SpendRow], rules: ChargingRules) -> tuple[Statement, ...]:
    """Statements of a period's spend: teams by name, then what is unattributed, then overhead."""
    own, pools = _sorted_out(rows, rules)
    lines = {party: _direct_lines(its) for party, its in own.items()}
    for shared in rules.shared:
        if shared.name in pools:
            for party, line in _shared_lines(shared, pools[shared.name], own):
                lines.setdefault(party, []).append(line)
    for party, line in _residual_lines(lines.get(UNATTRIBUTED_PARTY, ()), own, rules):
        lines.setdefault(party, []).append(line)
    return tuple(Statement(party, tuple(lines[party])) for party in sorted(lines, key=lambda party: party.place))


def _sorted_out(rows: Iterable[SpendRow], rules: ChargingRules) -> tuple[dict[Party, list[SpendRow]], dict[str, list[SpendRow]]]:
    """Rows of each party, and rows of each shared thing."""
    own: dict[Party, list[SpendRow]] = {}
    pools: dict[str, list[SpendRow]] = {}
    for row in rows:
        shared, team = rules.shared_of(row), rules.team_of(row)
        if shared is not None:
            pools.setdefault(shared.name, []).append(row)
        else:
            own.setdefault(UNATTRIBUTED_PARTY if team is None else Party(PartyKind.TEAM, team), []).append(row)
    return own, pools


def _direct_lines(rows: Sequence[SpendRow]) -> list[Line]:
    """One a feature."""
    by_feature: dict[str, list[SpendRow]] = {}
    for row in rows:
        by_feature.setdefault(row.feature or row.app, []).append(row)
    return [_direct_line(name, LineKind.DIRECT, its) for name, its in sorted(by_feature.items())]


def _direct_line(name: str, kind: LineKind, rows: Sequence[SpendRow]) -> Line:
    return Line(
        kind=kind, name=name, nanos=sum(row.nanos for row in rows), unsure_nanos=sum(row.unsure_nanos for row in rows),
        call_count=sum(row.call_count for row in rows), token_count=sum(row.token_count for row in rows),
        unpriced_count=sum(row.unpriced_count for row in rows),
    )  # fmt: skip


_QUANTITIES = {Method.CALLS: "call_count", Method.TOKENS: "token_count", Method.COST: "nanos"}
#: FOCUS writes units like this.
_UNITS = {Method.CALLS: "Calls", Method.TOKENS: "Tokens", Method.COST: "nano-USD"}


def _shared_lines(shared: Shared, pool: Sequence[SpendRow], own: _Rows) -> list[tuple[Party, Line]]:
    """Parts of a shared thing; what nobody is named for takes its part like a team. Whole where nobody used anything."""
    parties = sorted(own, key=lambda party: party.place)
    field = _QUANTITIES.get(shared.method)
    weights = [] if field is None else [sum(getattr(row, field) for row in own[party]) for party in parties]
    if not any(weights):
        return [(Party(PartyKind.OVERHEAD, shared.name), _direct_line(shared.name, LineKind.SHARED, pool))]
    nanos = sum(row.nanos for row in pool)
    return list(zip(parties, _parts(LineKind.SHARED, shared.name, nanos, _UNITS[shared.method], weights), strict=True))


def _parts(kind: LineKind, name: str, nanos: int, unit: str, weights: Sequence[int]) -> list[Line]:
    cut = zip(split(nanos, weights), weights, ratios(weights), strict=True)
    return [Line(kind=kind, name=name, nanos=part, basis=Basis(unit, weight, ratio)) for part, weight, ratio in cut]


def _residual_lines(unattributed: Sequence[Line], own: _Rows, rules: ChargingRules) -> list[tuple[Party, Line]]:
    """What nobody is named for, split among those who do not tag; nothing where there are none."""
    nanos, payers = sum(line.nanos for line in unattributed), _payers(own, rules)
    if not nanos or not payers:
        return []
    parties, unit, weights = list(payers), _residual_unit(rules, payers), [payers[party] for party in payers]
    weights = weights if any(weights) else [1] * len(weights)
    parts = list(zip(parties, _parts(LineKind.RESIDUAL, "", nanos, unit, weights), strict=True))
    return [*parts, (UNATTRIBUTED_PARTY, Line(kind=LineKind.RESIDUAL, name="", nanos=-nanos))]


def _payers(own: _Rows, rules: ChargingRules) -> dict[Party, int]:
    """Those who do not tag, by name, each with its weight under the rule; all zero: equally."""
    if rules.residual is ResidualRule.KEEP:
        return {}
    untagged = {
        party.name: sum(row.nanos for row in rows if not rules.is_tagged(row))
        for party, rows in own.items()
        if party.kind is PartyKind.TEAM and not all(rules.is_tagged(row) for row in rows)
    }
    tagging = {party.name for party, rows in own.items() if any(row.team == party.name for row in rows)}
    names = set(rules.untagged_teams) or {*untagged, *(team for team in rules.teams if team not in tagging)}
    spent = {party.name: sum(row.nanos for row in rows) for party, rows in own.items()}
    weights = {ResidualRule.UNTAGGED: untagged, ResidualRule.SPEND: spent}.get(rules.residual, {})
    return {Party(PartyKind.TEAM, name): weights.get(name, 0) for name in sorted(names)}


def _residual_unit(rules: ChargingRules, payers: Mapping[Party, int]) -> str:
    return "Teams" if rules.residual is ResidualRule.EQUAL or not any(payers.values()) else "nano-USD"
