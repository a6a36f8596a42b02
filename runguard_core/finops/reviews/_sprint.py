"""The sprint retrospective: this sprint against the last, what each agent's sessions cost, causes, and what was shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from runguard_core.attribution import UNATTRIBUTED
from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops.actions import Claim, claim
from runguard_core.finops.reviews._backlog import Backlog, read_backlog
from runguard_core.finops.reviews._costs import NO_COSTS, Costs, all_costs, costs_by, names_in
from runguard_core.finops.reviews._episodes import Anomaly, anomalies_of, opened_in
from runguard_core.finops.reviews._material import Payer, episode_events, payers_of
from runguard_core.finops.reviews._practice import Practice
from runguard_core.finops.reviews._verdict import Direction
from runguard_core.finops.reviews._weekly import owner_of
from runguard_core.ledger import CallFilter, Store

#: A release that was seen within so many days before the sprint is not new in it.
_RELEASES_REACH = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Compared:
    """One agent or feature: costs of its sessions in this sprint and in the one before; `owner` of a feature only."""

    name: str
    now: Costs
    before: Costs
    owner: str | None = None

    @property
    def went(self) -> Direction:
        """Where the median cost per session went."""
        return self.now.went(self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class SprintReview:
    """A sprint.

    Attributes:
        sprint, before: which, and the one that it is compared with. app: whose; None for all.
        agents, features: dearest first. anomalies: opened in it. anomaly_count_before: in the one before.
        releases: seen in it and not in the ninety days before. backlog: what was done in it, and what actions saved.
        claim: cost per session of the latest four weeks against the first ones.
    """

    sprint: Window
    before: Window
    app: str | None
    agents: tuple[Compared, ...]
    features: tuple[Compared, ...]
    anomalies: tuple[Anomaly, ...]
    anomaly_count_before: int
    releases: tuple[str, ...]
    backlog: Backlog
    claim: Claim

    @property
    def costs(self) -> Compared:
        """Of all features."""
        now = all_costs({row.name: row.now for row in self.features})
        before = all_costs({row.name: row.before for row in self.features})
        return Compared("all", now, before)


def read_sprint(store: Store, app: str | None, calendar: Calendar, sprint: Window, practice: Practice) -> SprintReview:
    """The review of a sprint, from sums of sessions only."""
    before = calendar.before(sprint, "sprint")
    payers = payers_of(store, app, sprint)
    now, then = (costs_by(store, app, window, "feature", "agent") for window in (sprint, before))
    features = tuple(
        replace(row, owner=owner_of(row.name, payers.get(row.name, Payer(row.name)), practice.registry))
        for row in _compared(now[0], then[0])
    )
    anomalies = anomalies_of(episode_events(store, app, before.start), practice.zone)
    return SprintReview(
        sprint=sprint, before=before, app=app, features=features, agents=_compared(now[1], then[1]),
        anomalies=opened_in(anomalies, sprint), anomaly_count_before=len(opened_in(anomalies, before)),
        releases=_new_releases(store, app, sprint), backlog=read_backlog(store, app, sprint),
        claim=claim(store, app, sprint.end, calendar),
    )  # fmt: skip


def _compared(now: Mapping[str, Costs], before: Mapping[str, Costs]) -> tuple[Compared, ...]:
    return tuple(Compared(name, now.get(name, NO_COSTS), before.get(name, NO_COSTS)) for name in names_in(now, before))


def _new_releases(store: Store, app: str | None, sprint: Window) -> tuple[str, ...]:
    here = store.totals(("release",), CallFilter(app=app, since=sprint.start, until=sprint.end))
    there = store.totals(("release",), CallFilter(app=app, since=sprint.start - _RELEASES_REACH, until=sprint.start))
    return tuple(sorted(name for (name,) in here.keys() - there.keys() if name and name != UNATTRIBUTED))
