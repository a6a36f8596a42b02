"""The rules by which spend becomes statements; kept with every closing, so that corrections follow the rules of their time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runguard_core.finops.chargeback._rows import SpendRow


class ChargeMode(StrEnum):
    """SHOWBACK shows teams what they spent; CHARGEBACK takes it from their budgets."""

    SHOWBACK = "showback"
    CHARGEBACK = "chargeback"


class ResidualRule(StrEnum):
    """How spend that nobody is named for is split among the teams that do not tag.

    By what each is known to have spent without tags (equally where nothing is known), equally, by what each has spent at all;
    KEEP leaves it a row of its own.
    """

    UNTAGGED = "untagged"
    EQUAL = "equal"
    SPEND = "spend"
    KEEP = "keep"


class Method(StrEnum):
    """How a shared thing is paid for: by each team's calls, tokens or cost; OVERHEAD: by none; DIRECT: it is not shared."""

    CALLS = "calls"
    TOKENS = "tokens"
    COST = "cost"
    OVERHEAD = "overhead"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Shared:
    """Something that several teams use: the calls that match every (dimension, value) pair of `where`."""

    name: str
    where: tuple[tuple[str, str], ...]
    method: Method

    def covers(self, row: SpendRow) -> bool:
        """Whether spend belongs to it."""
        return all(row.value(dimension) == value for dimension, value in self.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingRules:
    """Rules of one period.

    Attributes:
        mode, residual: see there.
        untagged_teams: who pays for the residual; empty: those that the ledger shows not to tag.
        shared: in order; spend of two is the first one's.
        teams: known by the policy. feature_teams, agent_teams: whose a feature or an agent is, where a call names no team.
        required: dimensions that a call must carry to count as tagged, of "feature" and "agent"; a team always.
    """

    mode: ChargeMode = ChargeMode.SHOWBACK
    residual: ResidualRule = ResidualRule.UNTAGGED
    untagged_teams: tuple[str, ...] = ()
    shared: tuple[Shared, ...] = ()
    teams: tuple[str, ...] = ()
    feature_teams: Mapping[str, str] = field(default_factory=dict)
    agent_teams: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def team_of(self, row: SpendRow) -> str | None:
        """The team that a call names, else that of its agent, else of its feature; None: nobody's."""
        return row.team or self.agent_teams.get(row.agent or "") or self.feature_teams.get(row.feature or row.app)

    def is_tagged(self, row: SpendRow) -> bool:
        """Whether the calls themselves say whose they are."""
        return row.team is not None and all(row.value(dimension) is not None for dimension in self.required)

    def shared_of(self, row: SpendRow) -> Shared | None:
        """The shared thing that spend belongs to."""
        return next((it for it in self.shared if it.method is not Method.DIRECT and it.covers(row)), None)


def rules_json(rules: ChargingRules) -> dict[str, Any]:
    """As a closing keeps them."""
    return {
        "mode": rules.mode.value, "residual": rules.residual.value, "untagged_teams": list(rules.untagged_teams),
        "shared": [{"name": it.name, "where": dict(it.where), "method": it.method.value} for it in rules.shared],
        "teams": list(rules.teams), "feature_teams": dict(rules.feature_teams), "agent_teams": dict(rules.agent_teams),
        "required": list(rules.required),
    }  # fmt: skip


def rules_of(kept: Mapping[str, Any]) -> ChargingRules:
    """From what a closing kept."""
    return ChargingRules(
        mode=ChargeMode(kept["mode"]), residual=ResidualRule(kept["residual"]), untagged_teams=tuple(kept["untagged_teams"]),
        shared=tuple(Shared(it["name"], tuple(sorted(it["where"].items())), Method(it["method"])) for it in kept["shared"]),
        teams=tuple(kept["teams"]), feature_teams=kept["feature_teams"], agent_teams=kept["agent_teams"],
        required=tuple(kept["required"]),
    )  # fmt: skip
