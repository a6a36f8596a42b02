"""From a role to a person: the owner, or who stands in where there is none or they are away. Never everybody, never nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from runguard_core.attribution import UNATTRIBUTED
from runguard_core.finops.owners._ladder import DEPUTY, EXECUTIVE, LEAD, OWNER, ROLES, UNOWNED
from runguard_core.finops.owners._registry import Duty, Registry

#: A person that the policy names for a level, whatever their role.
NAMED = "named"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """What something is about, as far as it decides who answers.

    Attributes:
        feature, agent: None for the whole app.
        team, owner: as the calls carry them, where the policy's tables name none.
    """

    feature: str | None = None
    agent: str | None = None
    team: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Who is told.

    Attributes:
        to: a contact's key or an address; `UNOWNED` where there is nobody.
        level: in which role: "owner", "deputy", "lead", "executive", "named" or "unowned".
    """

    to: str
    level: str

    @property
    def is_unowned(self) -> bool:
        """Nobody owns it."""
        return self.level == UNOWNED


def duty_of(registry: Registry, about: Concerned) -> Duty:
    """Who answers for it by the tables and the calls; the app's own owner, whom calls carry by default, is left out."""
    team, owner = (None if name == UNATTRIBUTED else name for name in (about.team, about.owner))
    own = replace(registry, default=replace(registry.default, owner=None)).duty(about.feature, about.agent, team)
    return own.filled(Duty(owner=None if owner == registry.default.owner else owner))


def recipients(roles: Iterable[str], about: Concerned, registry: Registry, day: date, unowned: str) -> tuple[Recipient, ...]:
    """One person for each role, each person once.

    Args:
        roles: of a rung; what is no role is a person. day: local date: whoever is away on it is passed over while another
            can be told. unowned: who hears of what nobody owns, "" for nobody in particular.
    """
    found: dict[str, Recipient] = {}
    for role in roles:
        one = _one(role, about, registry, day) or Recipient(to=unowned or UNOWNED, level=UNOWNED)
        found.setdefault(one.to, one)
    return tuple(found.values())


def _one(role: str, about: Concerned, registry: Registry, day: date) -> Recipient | None:
    if role not in ROLES:
        return Recipient(to=role, level=NAMED)
    known = [Recipient(to=person, level=level) for level, person in _line(role, about, registry) if person]
    present = (one for one in known if not registry.contact(one.to).is_away(day))
    return next(present, known[0] if known else None)


def _line(role: str, about: Concerned, registry: Registry) -> Iterator[tuple[str, str | None]]:
    """Who is asked in which order: the role itself, who stands in for it, at last the app's owner."""
    duty, whole = duty_of(registry, about), (OWNER, registry.default.owner)
    if about.feature is None and about.agent is None:
        duty = duty.filled(_agreed(registry))
    owner, deputy, lead = (OWNER, duty.owner), (DEPUTY, duty.deputy), (LEAD, duty.lead)
    lines = {
        OWNER: (owner, deputy, lead, whole),
        DEPUTY: (deputy, owner, lead, whole),
        LEAD: (lead, owner, deputy, whole),
        EXECUTIVE: ((EXECUTIVE, duty.executive), lead, whole, owner, deputy),
    }
    yield from lines[role]


def _agreed(registry: Registry) -> Duty:
    """Of the whole app: the lead and the executive on whom all its teams agree."""
    leads = {team.lead for team in registry.teams.values()}
    executives = {team.executive for team in registry.teams.values()}
    return Duty(lead=leads.pop() if len(leads) == 1 else None, executive=executives.pop() if len(executives) == 1 else None)
