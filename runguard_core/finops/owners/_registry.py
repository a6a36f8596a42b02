"""The registry of the policy: contacts, teams, and who is on duty for each feature and agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person.

    Attributes:
        key: how the policy names them; an address such as "ana@example.com" needs no table of its own.
        name: for readers. channels: names of `[alerts.channels.NAME]` or URLs, where alerts for them go.
        away: spans of local dates, the second exclusive, in which their deputy is told.
    """

    key: str
    name: str = ""
    channels: tuple[str, ...] = ()
    away: tuple[tuple[date, date], ...] = ()

    def is_away(self, day: date) -> bool:
        """Whether somebody else is to be told on that day."""
        return any(first <= day < back for first, back in self.away)

    @property
    def title(self) -> str:
        """The name, else the key."""
        return self.name or self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team: the lead and the executive of its features unless they name others; `channels` where its alerts go too."""

    name: str
    lead: str | None = None
    executive: str | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Who answers for a feature or an agent; contacts by key, None where nobody does.

    Attributes:
        owner: one person who answers for the cost; deputy: in their absence.
        lead: engineering lead; executive: who is told when the week goes wrong.
        team: whose it is. runbook: a link to what is to be done.
        is_production: whether it must have an owner, a deputy and a runbook.
    """

    owner: str | None = None
    deputy: str | None = None
    lead: str | None = None
    executive: str | None = None
    team: str | None = None
    runbook: str | None = None
    is_production: bool = False

    def filled(self, other: Duty) -> Duty:
        """Itself, with what it leaves open taken from another one."""
        missing = {
            name: getattr(other, name)
            for name in ("owner", "deputy", "lead", "executive", "team", "runbook")
            if getattr(self, name) is None
        }
        return replace(self, is_production=self.is_production or other.is_production, **missing)


NOBODY = Duty()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Everything the policy says of people.

    Attributes:
        default: of the whole app, by the policy's top-level `owner` and `team`.
        features, agents: by name; teams, contacts: by name and key.
    """

    default: Duty = NOBODY
    features: Mapping[str, Duty] = field(default_factory=dict)
    agents: Mapping[str, Duty] = field(default_factory=dict)
    teams: Mapping[str, Team] = field(default_factory=dict)
    contacts: Mapping[str, Contact] = field(default_factory=dict)

    def duty(self, feature: str | None, agent: str | None = None, team: str | None = None) -> Duty:
        """Who answers: by the agent's table, then the feature's, then the team's, then the app's.

        Args:
            team: as the calls carry it, where no table names one.
        """
        found = self.agents.get(agent or "", NOBODY).filled(self.features.get(feature or "", NOBODY))
        found = found.filled(Duty(team=team)) if team else found
        found = found.filled(Duty(team=self.default.team))
        its = self.teams.get(found.team or "")
        if its is not None:
            found = found.filled(Duty(lead=its.lead, executive=its.executive))
        return found.filled(self.default)

    def contact(self, key: str) -> Contact:
        """The person of a key; one without a table is an address."""
        return self.contacts.get(key) or Contact(key=key)
