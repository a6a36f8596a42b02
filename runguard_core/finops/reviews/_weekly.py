"""The weekly review: one row a feature, last week's anomalies, an agenda for fifteen minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runguard_core.finops._calendar import Window
from runguard_core.finops._session_costs import percentile
from runguard_core.finops.owners import Concerned, Coverage, Registry, duty_of
from runguard_core.finops.planning import Headroom
from runguard_core.finops.reviews._agenda import AgendaPoint
from runguard_core.finops.reviews._avoided import Avoided, avoided
from runguard_core.finops.reviews._backlog import Backlog
from runguard_core.finops.reviews._episodes import Anomaly, anomalies_of, left_over, opened_in
from runguard_core.finops.reviews._limits import Allowed, allowed, scaled_months
from runguard_core.finops.reviews._material import Material, Payer
from runguard_core.finops.reviews._opportunities import opportunities
from runguard_core.finops.reviews._opportunity import Listed, Opportunity, Sample
from runguard_core.finops.reviews._practice import Practice
from runguard_core.finops.reviews._verdict import Direction, Verdict, direction, rising_weeks, verdict
from runguard_core.ledger import Total
from runguard_core.prices import PriceBook

_NOTHING = Total()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureWeek:
    """One row; amounts in nano-USD.

    Attributes:
        feature, owner, team: whose; owner None where nobody answers for it.
        spend: by week, oldest first; the last is the reviewed one. total: of the reviewed week.
        session_count, median_nanos, p95_nanos: of the week's sessions; None without one.
        usual_median_nanos: of the sessions of the four weeks before.
        went: direction of the median. verdict: see `runguard_core.finops.reviews.VERDICT_RULE`.
        anomaly_count, anomaly_count_before: episodes opened in the week and in the one before.
        stopped: its sessions that the breaker stopped.
        allowed: what its budget allows a week. rising_weeks: weeks in a row with more spend than the week before.
        opportunities: the dearest first. sampled_nanos: what the sessions cost that they were looked for in.
    """

    feature: str
    owner: str | None
    team: str | None
    spend: tuple[int, ...]
    total: Total
    session_count: int
    median_nanos: int | None
    p95_nanos: int | None
    usual_median_nanos: int | None
    went: Direction
    verdict: Verdict
    anomaly_count: int
    anomaly_count_before: int
    stopped: tuple[Avoided, ...]
    allowed: Allowed | None
    rising_weeks: int
    opportunities: tuple[Opportunity, ...]
    sampled_nanos: int

    @property
    def nanos(self) -> int:
        """Spend of the reviewed week."""
        return self.spend[-1]

    @property
    def nanos_before(self) -> int:
        """Spend of the week before."""
        return self.spend[-2]

    @property
    def avoided_nanos(self) -> int:
        """What its stops avoided, an estimate."""
        return sum(one.nanos for one in self.stopped)

    @property
    def opportunity(self) -> Opportunity | None:
        """The dearest, None where nothing is worth a word."""
        return self.opportunities[0] if self.opportunities else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyReview:
    """A week of a product.

    Attributes:
        week: the reviewed one. app: whose; None for every app of the ledger.
        features: dearest first; those without a call in the week and the one before are left out.
        spend: of everything by week, oldest first. allowed: by the budgets of the whole app.
        anomalies: opened in the week. left_over: older ones that nobody has settled.
        coverage: for each dimension that calls must carry, how much of the spend does.
        room: the reserve of the plan in the month of the week's last day, at the week's end; None without a plan.
        backlog: what is to be done, was done, and saved. agenda: for the meeting.
    """

    week: Window
    app: str | None
    features: tuple[FeatureWeek, ...]
    spend: tuple[int, ...]
    total: Total
    allowed: Allowed | None
    anomalies: tuple[Anomaly, ...]
    left_over: tuple[Anomaly, ...]
    coverage: tuple[Coverage, ...]
    room: Headroom | None
    backlog: Backlog
    agenda: tuple[AgendaPoint, ...] = ()

    @property
    def nanos(self) -> int:
        """Spend of the reviewed week."""
        return self.spend[-1]


def weekly(material: Material, practice: Practice, app: str | None = None) -> WeeklyReview:
    """The review of a week, from what was read and what the policy says; `agenda` is added by `with_agenda`."""
    episodes = anomalies_of(material.events, practice.zone)
    stopped = avoided(material)
    names = sorted({*material.spend[-1], *material.spend[-2]})
    features = [_feature(name, material, practice, episodes, stopped) for name in names]
    sums = tuple(sum(total.cost_nanos for total in week.values()) for week in material.spend)
    return WeeklyReview(
        week=material.week, app=app, spend=sums, total=sum(material.spend[-1].values(), _NOTHING),
        features=tuple(sorted(features, key=lambda row: (-row.nanos, row.feature))),
        allowed=allowed_to_all(material.payers, practice, material.week, app),
        anomalies=opened_in(episodes, material.week), left_over=left_over(episodes, material.week),
        coverage=material.coverage, room=material.room,
        backlog=material.backlog or Backlog(material.week.end_day),
    )  # fmt: skip


def owner_of(feature: str, payer: Payer, registry: Registry) -> str | None:
    """Who answers for a feature: as the policy says, else as most of its calls do, else the app's owner."""
    about = Concerned(feature=feature, agent=payer.agent, team=payer.team, owner=payer.owner)
    return duty_of(registry, about).owner or registry.default.owner


def _feature(
    name: str, material: Material, practice: Practice, episodes: Iterable[Anomaly], stopped: Iterable[Avoided]
) -> FeatureWeek:  # fmt: skip
    costs = sorted(cost.nanos for cost in material.sessions.get(name, ()))
    usual = sorted(cost.nanos for cost in material.usual.get(name, ()))
    spend = tuple(week.get(name, _NOTHING).cost_nanos for week in material.spend)
    own = [one for one in episodes if one.episode.feature == name]
    now, before = (len(opened_in(own, week)) for week in (material.weeks[-1], material.weeks[-2]))
    went, payer = direction(costs, usual), material.payers.get(name, Payer(name))
    sample = sample_of(name, material, practice.prices)
    return FeatureWeek(
        feature=name, owner=owner_of(name, payer, practice.registry),
        team=practice.registry.duty(name, payer.agent, payer.team).team,
        spend=spend, total=material.spend[-1].get(name, _NOTHING), session_count=len(costs), went=went,
        median_nanos=percentile(costs, 0.5), p95_nanos=percentile(costs, 0.95), usual_median_nanos=percentile(usual, 0.5),
        verdict=verdict(went, now, before), anomaly_count=now, anomaly_count_before=before,
        stopped=tuple(one for one in stopped if one.feature == name),
        allowed=allowed_to(name, payer, practice, material.week), rising_weeks=rising_weeks(spend),
        opportunities=opportunities(sample), sampled_nanos=sample.nanos,
    )  # fmt: skip


def allowed_to(feature: str, payer: Payer, practice: Practice, window: Window) -> Allowed | None:
    """What a feature's plan, else its tightest budget, allows in a window."""
    planned = practice.plan.features.get(feature)
    if planned is not None:
        return Allowed("plan", scaled_months(planned.nanos, window))
    who = {"app": payer.app, "feature": feature} | ({"team": payer.team} if payer.team else {})
    return allowed(practice.budgets, who, window)


def sample_of(feature: str, material: Material, prices: PriceBook) -> Sample:
    """What a feature's opportunities are looked for in."""
    return Sample(
        feature=feature, sessions=material.dearest.get(feature, ()), total=material.spend[-1].get(feature, _NOTHING),
        models={key[1:]: total for key, total in material.models.items() if key[0] == feature},
        usual_models={key[1:]: total for key, total in material.usual_models.items() if key[0] == feature},
        offered=sorted({key[1:] for key in (*material.models, *material.usual_models)}),
        prices=Listed(prices, material.week.start),
    )  # fmt: skip


def allowed_to_all(
    payers: Mapping[str, Payer], practice: Practice, window: Window, app: str | None
) -> Allowed | None:  # fmt: skip
    """What the plan's total, else the tightest budget of the whole app, allows in a window; None for several apps."""
    if practice.plan.total_nanos is not None:
        return Allowed("plan", scaled_months(practice.plan.total_nanos, window))
    apps = {payer.app for payer in payers.values()}
    named = app or (next(iter(apps)) if len(apps) == 1 else None)
    return None if named is None else allowed(practice.budgets, {"app": named}, window)
