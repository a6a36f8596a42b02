"""`[contacts]`, `[features]`, `[teams]` and `[agents]` of the policy file: who answers for what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import Field

from runguard_core.finops.owners import Contact, Duty, Registry, Team
from runguard_core.policy._table import ModeName, Table


class AwayTable(Table):
    """`away = [{ from = 2026-12-21, until = 2027-01-04 }]`."""

    from_: date = Field(alias="from", strict=False, description="first day away")
    until: date = Field(strict=False, description="first day back")


class ContactTable(Table):
    """`[contacts.KEY]`: a person; an address such as "ana@example.com" needs no table."""

    name: str = Field(default="", description="for readers")
    channels: list[str] = Field(default=[], description="names of [alerts.channels.NAME], or URLs: where their alerts go")
    away: list[AwayTable] = Field(default=[], description="when deputies are told instead")


class DutyTable(Table):
    """Who answers for a feature or an agent; a person each, by the key of a contact or an address."""

    owner: str | None = Field(default=None, description="the one person who answers for the cost")
    deputy: str | None = Field(default=None, description="in the owner's absence")
    lead: str | None = Field(default=None, description="engineering lead; else the team's")
    executive: str | None = Field(default=None, description="is told when the week goes wrong; else the team's")
    team: str | None = None
    runbook: str | None = Field(default=None, description="link to what is to be done")
    production: bool = Field(default=False, description="`runguard owners --check` asks for owner, deputy and runbook")

    def duty(self) -> Duty:
        """As the registry keeps it."""
        return Duty(
            owner=self.owner, deputy=self.deputy, lead=self.lead, executive=self.executive, team=self.team,
            runbook=self.runbook, is_production=self.production,
        )  # fmt: skip


class FeatureTable(DutyTable):
    """`[features.NAME]`."""


class TeamTable(Table):
    """`[teams.NAME]`."""

    lead: str | None = None
    executive: str | None = None
    channels: list[str] = Field(default=[], description="as of a contact")


class AgentTable(DutyTable):
    """`[agents.NAME]`."""

    mode: ModeName | None = None


def registry_of(
    contacts: Mapping[str, ContactTable], features: Mapping[str, FeatureTable], teams: Mapping[str, TeamTable],
    agents: Mapping[str, AgentTable], **default: Any,
) -> Registry:  # fmt: skip
    """The registry of a policy's tables; `default` is the whole app's `owner` and `team`."""
    return Registry(
        default=Duty(**default),
        features={name: table.duty() for name, table in features.items()},
        agents={name: table.duty() for name, table in agents.items()},
        teams={
            name: Team(name=name, lead=table.lead, executive=table.executive, channels=tuple(table.channels))
            for name, table in teams.items()
        },
        contacts={
            key: Contact(key=key, name=it.name, channels=tuple(it.channels), away=_away(it)) for key, it in contacts.items()
        },
    )


def _away(table: ContactTable) -> tuple[tuple[date, date], ...]:
    return tuple((span.from_, span.until) for span in table.away)


def named(agents: Mapping[str, AgentTable], features: Mapping[str, FeatureTable], key: str) -> dict[str, str]:
    """One key of all agents' and features' tables that have it, by scope: "agent:NAME", "feature:NAME"."""
    tables: dict[str, DutyTable] = {f"feature:{name}": table for name, table in features.items()}
    tables |= {f"agent:{name}": table for name, table in agents.items()}
    return {scope: getattr(table, key) for scope, table in tables.items() if getattr(table, key)}
