"""Who is to hear of what, and through which channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from runguard_core.alerts._channels import Channel, name_of_url
from runguard_core.finops.owners import Notice, Registry
from runguard_core.ledger import Event

#: The channel of a notice that no channel is named for: it is listed, and nobody sends it.
NOWHERE = "(no channel)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """From events to notices.

    Attributes:
        kinds: of the events it is told of.
        notices: of all events of the last two weeks and the time now; the same events give the same notices (by id), so that
            whoever asks again queues nothing twice.
    """

    kinds: frozenset[str]
    notices: Callable[[Sequence[Event], datetime], Iterable[Notice]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """What the policy says of alerts.

    Attributes:
        channels: by name. default: where notices go whose person (and team) has no channel.
        registry: contacts and teams with their channels. sources: what is said.
    """

    channels: Mapping[str, Channel] = field(default_factory=dict)
    default: tuple[str, ...] = ()
    registry: Registry = field(default_factory=Registry)
    sources: tuple[Source, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """Of the events that may become notices."""
        return frozenset().union(*(source.kinds for source in self.sources))

    def notices(self, events: Sequence[Event], now: datetime) -> list[Notice]:
        """What is to be said of these events."""
        return [
            notice
            for source in self.sources
            for notice in source.notices([event for event in events if event.kind in source.kinds], now)
        ]

    def channels_for(self, notice: Notice) -> tuple[str, ...]:
        """The person's channels and those of the team, else the default ones; never none."""
        team = self.registry.duty(notice.feature, notice.agent, notice.team).team
        its = self.registry.teams.get(team or "")
        named = (
            (*self.registry.contact(notice.to).channels, *(its.channels if its is not None else ())) or self.default or (NOWHERE,)
        )
        return tuple(dict.fromkeys(name_of_url(one) if "://" in one else one for one in named))
