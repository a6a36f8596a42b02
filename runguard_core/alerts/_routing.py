"""Who is to hear of what, and through which channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runguard_core.alerts._channels import Channel, ChannelKind, name_of_url
from runguard_core.finops.owners import Notice, Registry, Step
from runguard_core.ledger import Store

#: The channel of a notice that no channel is named for: it is listed, and nobody sends it.
NOWHERE = "(no channel)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """From a ledger to notices.

    Attributes:
        kinds: of events that are news for it: a process that announces one looks at once.
        notices: of what happened in an app (the second argument) from a moment (the third) to now (the last). The same ledger
            gives the same notices (by id): whoever asks again, for whatever span, queues nothing twice.
    """

    kinds: frozenset[str]
    notices: Callable[[Store, str, datetime, datetime], Iterable[Notice]]


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

    def notices(self, store: Store, app: str, since: datetime, now: datetime) -> list[Notice]:
        """What is to be said of what happened since.

        Raises:
            StoreError: the ledger could not be read.
        """
        return [notice for source in self.sources for notice in source.notices(store, app, since, now)]

    def channels_for(self, notice: Notice) -> tuple[str, ...]:
        """The person's channels and those of the team, else the default ones; never none.

        A report is no incident: it goes past PagerDuty where there is any other way.
        """
        team = self.registry.duty(notice.feature, notice.agent, notice.team).team
        its = self.registry.teams.get(team or "")
        own = _names((*self.registry.contact(notice.to).channels, *(its.channels if its is not None else ())))
        default = _names(self.default)
        if notice.step is Step.REPORT:
            found = self._without_pagers(own) or self._without_pagers(default)
            if found:
                return found
        return own or default or (NOWHERE,)

    def _without_pagers(self, names: tuple[str, ...]) -> tuple[str, ...]:
        pagers = {name for name, channel in self.channels.items() if channel.kind is ChannelKind.PAGERDUTY}
        return tuple(name for name in names if name not in pagers)


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name_of_url(one) if "://" in one else one for one in given))
