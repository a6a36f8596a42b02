"""`[chargeback]` of the policy file: how spend is charged to teams, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from runguard_core.finops.chargeback import ChargeMode, ChargingRules, Method, ResidualRule, Shared
from runguard_core.policy._table import Table

if TYPE_CHECKING:
    from runguard_core.policy._schema import PolicyFile

_MONTH = r"^\d{4}-(0[1-9]|1[0-2])$"
_SELECTING = ("app", "feature", "team", "agent")


class SharedTable(Table):
    """`[[chargeback.shared]]`: something that several teams use; of one name the latest `since` holds."""

    name: str = Field(min_length=1)
    where: dict[str, str] = Field(min_length=1, description="which calls: app, feature, team, agent = value pairs")
    method: Literal["calls", "tokens", "cost", "overhead", "direct"] = Field(
        default="overhead", description="paid by each team's calls, tokens or cost; overhead: by none; direct: not shared"
    )
    since: str = Field(default="0001-01", pattern=_MONTH, description='first period that it holds for, "2026-10"')

    @model_validator(mode="after")
    def _selects(self) -> Self:
        others = sorted(set(self.where) - set(_SELECTING))
        if others:
            raise ValueError(f"where may name {', '.join(_SELECTING)}; not {', '.join(others)}")
        return self


class ChargebackTable(Table):
    """`[chargeback]`: how spend is charged to teams."""

    mode: Literal["showback", "chargeback"] = Field(default="showback", description="chargeback takes it from teams' budgets")
    since: str = Field(default="0001-01", pattern=_MONTH, description="first period in mode chargeback; before it showback holds")
    residual: Literal["untagged", "equal", "spend", "keep"] = Field(
        default="untagged", description="how teams that do not tag share what no team is named for; keep: a row of its own"
    )
    untagged_teams: list[str] = Field(default=[], description="who does not tag; else those that the ledger shows")
    shared: list[SharedTable] = Field(default=[])

    @model_validator(mode="after")
    def _is_clear(self) -> Self:
        seen: set[tuple[str, str]] = set()
        for table in self.shared:
            if (table.name, table.since) in seen:
                raise ValueError(f"shared {table.name!r} is there twice since {table.since}: which method holds?")
            seen.add((table.name, table.since))
        return self


def charging_rules(content: PolicyFile, period: str) -> ChargingRules:
    """The rules of a policy for a period.

    Args:
        period: its name, "2026-10".
    """
    table, agents, features = content.chargeback, content.agents, content.features
    named = [content.team, *(it.team for it in agents.values()), *(it.team for it in features.values()), *content.teams]
    is_charged = table.mode == "chargeback" and table.since <= period
    return ChargingRules(
        mode=ChargeMode.CHARGEBACK if is_charged else ChargeMode.SHOWBACK,
        residual=ResidualRule(table.residual), untagged_teams=tuple(sorted(set(table.untagged_teams))),
        shared=_shared(table, period), teams=tuple(sorted({team for team in named if team})),
        feature_teams={name: it.team for name, it in sorted(features.items()) if it.team},
        agent_teams={name: it.team for name, it in sorted(agents.items()) if it.team},
        required=tuple(name for name in ("feature", "agent") if name in content.require),
    )  # fmt: skip


def _shared(table: ChargebackTable, period: str) -> tuple[Shared, ...]:
    """Of each name what holds in a period, in the file's order."""
    holds: dict[str, SharedTable] = {}
    for it in sorted(table.shared, key=lambda it: it.since):
        if it.since <= period:
            holds[it.name] = it
    order = {it.name: place for place, it in reversed(list(enumerate(table.shared)))}
    chosen = sorted(holds.values(), key=lambda it: order[it.name])
    return tuple(Shared(it.name, tuple(sorted(it.where.items())), Method(it.method)) for it in chosen)
