"""What every kind of notice needs: whom to tell by the ladder, and the words that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runguard_core.finops._calendar import Calendar
from runguard_core.finops.owners._ladder import Ladder, Rung
from runguard_core.finops.owners._notice import Notice, Step, Urgency
from runguard_core.finops.owners._planned import Planned
from runguard_core.finops.owners._recipients import Concerned, Recipient, duty_of, recipients
from runguard_core.finops.owners._registry import Registry

_MAX_TITLE_CHARS = 150
_CENT_NANOS = 10**7


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a ledger.

    Attributes:
        app: whose. registry, ladder, calendar, planned: the policy's.
        known: what calls say of team and owner, by (feature, agent); agent None is the feature as a whole.
        since, now: notices of what happened in between are wanted, both inclusive.
    """

    app: str
    registry: Registry
    ladder: Ladder
    calendar: Calendar
    since: datetime
    now: datetime
    planned: tuple[Planned, ...] = ()
    known: Mapping[tuple[str, str | None], Concerned] = field(default_factory=dict)

    def wants(self, at: datetime) -> bool:
        """Whether a notice of that instant is asked for."""
        return self.since <= at <= self.now

    def about(self, feature: str | None, agent: str | None = None) -> Concerned:
        """What is known of a feature and an agent; None for the whole app."""
        found = self.known.get((feature or self.app, agent)) or self.known.get((feature or self.app, None))
        return Concerned(
            feature=feature, agent=agent, team=found.team if found and feature else None,
            owner=found.owner if found and feature else None,
        )  # fmt: skip

    def told(self, rung: Rung, about: Concerned, at: datetime) -> tuple[Recipient, ...]:
        """Whom to tell."""
        return recipients(rung.to, about, self.registry, self.calendar.date_of(at), self.ladder.unowned)

    def notice(
        self, told: Recipient, about: Concerned, *, key: str, step: Step, urgency: Urgency, at: datetime, title: str, text: str,
        facts: Mapping[str, Any], number: int = 0, session: str | None = None,
    ) -> Notice:  # fmt: skip
        """A notice with what all have: who answers, the runbook, and that nobody owns it where nobody does."""
        duty = duty_of(self.registry, about)
        whole = f"unowned: {title}" if told.is_unowned else title
        lines = [text]
        if told.is_unowned:
            lines.append("Nobody owns this: name an owner under [features] or [agents] of the policy (`runguard owners`).")
        if duty.runbook:
            lines.append(f"Runbook: {duty.runbook}")
        return Notice(
            about=key, to=told.to, level=told.level, step=step, urgency=urgency, at=at,
            title=whole if len(whole) <= _MAX_TITLE_CHARS else f"{whole[: _MAX_TITLE_CHARS - 3]}...",
            text="\n".join(lines), app=self.app, feature=about.feature, agent=about.agent, team=duty.team, session=session,
            facts={**facts, "owner": duty.owner or self.registry.default.owner, "runbook": duty.runbook}, number=number,
        )  # fmt: skip


def cents(nanos: int) -> str:
    """An amount to be read, in whole cents: "$1,234.50"; amounts below a cent say so."""
    whole = (nanos + _CENT_NANOS // 2) // _CENT_NANOS
    if nanos and not whole:
        return "less than $0.01"
    return f"${whole // 100:,}.{whole % 100:02}"
