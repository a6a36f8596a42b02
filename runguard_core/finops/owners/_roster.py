"""The roster: features and agents of the ledger and of the policy, with who answers for each, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from runguard_core.attribution import UNATTRIBUTED
from runguard_core.finops.owners._recipients import Concerned, duty_of
from runguard_core.finops.owners._registry import Duty, Registry
from runguard_core.ledger import CallFilter, Store, Total


class OwnerFrom(StrEnum):
    """Where an owner is named."""

    POLICY = "policy"  # a table of the feature or the agent
    CALLS = "calls"  # the calls themselves carry it
    APP = "app"  # only the whole app's owner
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRow:
    """One agent of one feature.

    Attributes:
        feature: the app where calls named none. agent: None where calls named none, and for what only the policy knows.
        duty: who answers; of the owner `owner_from` says where that is named.
        total: its calls of the span. is_seen: whether there were any.
        lacks: what a production feature must have and this one has not: "owner", "deputy", "runbook", or
            "owner is a team": it has to be one person.
    """

    feature: str
    agent: str | None
    duty: Duty
    owner_from: OwnerFrom
    total: Total
    is_seen: bool
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """All rows, what nobody owns first, then by spend; and words of the ledger that the policy does not know.

    Attributes:
        rows: see `RosterRow`. unknown: by dimension ("team", "feature", "agent") values that calls carry and no table has.
    """

    rows: tuple[RosterRow, ...]
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[RosterRow, ...]:
        """Production features and agents that lack something."""
        return tuple(row for row in self.rows if row.lacks)


def roster(store: Store, app: str, registry: Registry, since: datetime, until: datetime) -> Roster:
    """Who answers for what cost something in [since, until), and for what the policy names."""
    totals = store.totals(("feature", "agent", "team", "owner"), CallFilter(app=app, since=since, until=until))
    return roster_of({(feature or app, *rest): total for (feature, *rest), total in totals.items()}, registry)


def roster_of(totals: Mapping[tuple[Any, ...], Total], registry: Registry) -> Roster:
    """The same from sums by (feature, agent, team, owner)."""
    sums: dict[tuple[str, str | None], Total] = {}
    said: dict[tuple[str, str | None], Concerned] = {}
    for (feature, agent, team, owner), total in sorted(totals.items(), key=lambda item: -item[1].cost_nanos):
        key = (feature, agent)
        sums[key] = sums.get(key, Total()) + total
        known = said.get(key, Concerned(feature=feature, agent=agent))
        said[key] = Concerned(feature=feature, agent=agent, team=known.team or team, owner=known.owner or owner)
    rows = [_row(said[key], sums[key], registry, is_seen=True) for key in sums]
    rows += [
        _row(Concerned(feature=name), Total(), registry, is_seen=False)
        for name in registry.features
        if not any(feature == name for feature, _ in sums)
    ]
    rows.sort(key=lambda row: (row.owner_from is not OwnerFrom.NOBODY, -row.total.cost_nanos, row.feature, row.agent or ""))
    return Roster(rows=tuple(rows), unknown=_unknown(totals, registry))


def _row(about: Concerned, total: Total, registry: Registry, *, is_seen: bool) -> RosterRow:
    duty, by_table = duty_of(registry, about), duty_of(registry, Concerned(feature=about.feature, agent=about.agent))
    owner_from = OwnerFrom.NOBODY
    if by_table.owner:
        owner_from = OwnerFrom.POLICY
    elif duty.owner:
        owner_from = OwnerFrom.CALLS
    elif registry.default.owner:
        owner_from = OwnerFrom.APP
    duty = duty.filled(registry.default)
    return RosterRow(
        feature=about.feature or "", agent=about.agent, duty=duty, owner_from=owner_from, total=total, is_seen=is_seen,
        lacks=_lacks(duty, registry) if duty.is_production else (),
    )  # fmt: skip


def _lacks(duty: Duty, registry: Registry) -> tuple[str, ...]:
    missing = [name for name in ("owner", "deputy", "runbook") if not getattr(duty, name)]
    if duty.owner in registry.teams:
        missing.append("owner is a team")
    return tuple(missing)


def _unknown(totals: Iterable[tuple[Any, ...]], registry: Registry) -> dict[str, tuple[str, ...]]:
    """What no table of the policy has; a dimension without any table is not asked about."""
    tables: dict[str, tuple[int, Iterable[str]]] = {
        "feature": (0, registry.features), "agent": (1, registry.agents), "team": (2, registry.teams),
    }  # fmt: skip
    keys, found = list(totals), {}
    for name, (place, known) in tables.items():
        values = {key[place] for key in keys} - {None, UNATTRIBUTED} - set(known)
        if known and values:
            found[name] = tuple(sorted(values))
    return found


def roster_json(found: Roster) -> dict[str, Any]:
    """Rows and words; amounts as strings of nano-USD."""
    return {
        "rows": [
            {
                "feature": row.feature, "agent": row.agent, "team": row.duty.team, "owner": row.duty.owner,
                "owner_from": row.owner_from.value, "deputy": row.duty.deputy, "lead": row.duty.lead,
                "executive": row.duty.executive, "runbook": row.duty.runbook, "production": row.duty.is_production,
                "is_seen": row.is_seen, "cost_nanos": str(row.total.cost_nanos), "call_count": row.total.call_count,
                "lacks": list(row.lacks),
            }
            for row in found.rows
        ],
        "unknown": {name: list(values) for name, values in found.unknown.items()},
    }  # fmt: skip
