"""What a weekly review is made from, read once: sums of weeks, sessions' costs, events, calls of the dearest sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import nlargest

from runguard_core.attribution import feature_of
from runguard_core.events import CALL_REFUSED, RUN_TRIPPED
from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops._session_costs import SessionCost, session_costs
from runguard_core.finops.owners import CASE_KINDS, Coverage, coverage
from runguard_core.finops.planning import Headroom, Plan, headroom, read_spend
from runguard_core.finops.reviews._backlog import Backlog, read_backlog
from runguard_core.finops.reviews._practice import Practice
from runguard_core.ledger import CallFilter, CallRecord, Event, EventFilter, Store, Total, conversation_of

Tell = Callable[[str], None]
#: From (app, session) to the session's calls in a window.
Read = Callable[[str | None, str], tuple[CallRecord, ...]]
#: So many calls of a window are read at once; of more, those of sessions that are asked for.
MOST_AT_ONCE = 10_000
#: Weeks of the line of spend, the reviewed one included.
TREND_WEEKS = 8
#: Weeks before the reviewed one that its sessions are compared with.
USUAL_WEEKS = 4
#: So many sessions in the week before are enough to compare with: then it alone.
ENOUGH_SESSIONS = 5_000
#: Sessions of a feature whose calls are read, the dearest; all of them where the week has at most MOST_AT_ONCE calls.
SAMPLED_SESSIONS = 50
#: Stopped sessions whose calls are read.
MOST_STOPPED = 200
STOPS = frozenset({RUN_TRIPPED, CALL_REFUSED})
_EPISODES_REACH = timedelta(weeks=10)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose a feature is, by most of its spend in the week; None where calls do not say."""

    app: str
    team: str | None = None
    owner: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The rows behind a weekly review.

    Attributes:
        weeks: oldest first; the last is the reviewed one.
        spend: for each week its sums by feature.
        sessions, usual: costs of the week's sessions, and of those before it (four weeks, or one with many), by feature.
        payers: whose each feature is. coverage: of what calls must carry.
        room: of the plan's reserve at the week's end, None without a plan.
        models: sums of the week, and usual_models of the weeks before it, by (feature, provider, model).
        events: stops of the week and of those before it, and what is said of episodes.
        stopped: calls of the week's stopped sessions, by (app, session).
        dearest: by feature, calls of its dearest sessions of the week, one tuple a session. backlog: as it stands after it.
    """

    weeks: tuple[Window, ...]
    spend: tuple[Mapping[str, Total], ...]
    sessions: Mapping[str, tuple[SessionCost, ...]]
    usual: Mapping[str, tuple[SessionCost, ...]]
    payers: Mapping[str, Payer] = field(default_factory=dict)
    coverage: tuple[Coverage, ...] = ()
    room: Headroom | None = None
    models: Mapping[tuple[str, str, str], Total] = field(default_factory=dict)
    usual_models: Mapping[tuple[str, str, str], Total] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    stopped: Mapping[tuple[str, str], tuple[CallRecord, ...]] = field(default_factory=dict)
    dearest: Mapping[str, tuple[tuple[CallRecord, ...], ...]] = field(default_factory=dict)
    backlog: Backlog | None = None

    @property
    def week(self) -> Window:
        """The reviewed one."""
        return self.weeks[-1]


def read_material(
    store: Store, app: str | None, calendar: Calendar, week: Window, practice: Practice, tell: Tell | None = None
) -> Material:
    """Read what a weekly review needs: sums, and calls, of a large week only those of the dearest sessions.

    Args:
        app: whose; None for every app of the ledger. calendar: of the team. week: the reviewed one.
        practice: its rules and its plan are asked for. tell: told what is being read.
    """
    say = tell or _nobody
    weeks = tuple(calendar.before(week, "week", count) for count in range(TREND_WEEKS - 1, -1, -1))
    say("sums of weeks")
    spend = tuple(_by_feature(store, app, one) for one in weeks)
    before = CallFilter(app=app, since=weeks[-1 - USUAL_WEEKS].start, until=week.start)
    say("sessions")
    sessions = by_feature(session_costs(store, app, week.start, week.end))
    usual = by_feature(_usual(store, app, weeks))
    say("events")
    events = _events(store, app, weeks)
    say("dearest sessions")
    are_few = sum(total.call_count + total.tool_count for total in spend[-1].values()) <= MOST_AT_ONCE
    read, count = reader(store, app, week, at_once=are_few), None if are_few else SAMPLED_SESSIONS
    return Material(
        weeks=weeks, spend=spend, sessions=sessions, usual=usual, payers=payers_of(store, app, week), events=events,
        coverage=coverage(store, app, week.start, week.end, practice.rules),
        room=_room(store, app, calendar, week, practice.plan),
        models=_by_model(store, CallFilter(app=app, since=week.start, until=week.end)), usual_models=_by_model(store, before),
        stopped=_stopped(read, [event for event in events if week.covers(event.at)]),
        dearest={feature: _dearest(read, app, costs, count) for feature, costs in sessions.items()},
        backlog=read_backlog(store, app, week),
    )  # fmt: skip


def by_feature(costs: Iterable[SessionCost]) -> dict[str, tuple[SessionCost, ...]]:
    """Sessions of each feature, in order."""
    found: dict[str, list[SessionCost]] = {}
    for cost in costs:
        found.setdefault(cost.feature, []).append(cost)
    return {feature: tuple(its) for feature, its in found.items()}


def calls_of_session(store: Store, app: str | None, session: str, window: Window) -> tuple[CallRecord, ...]:
    """The calls of a session in a window; of a run, or one call, where no session was named."""
    span = CallFilter(app=app, since=window.start, until=window.end)
    for where in (replace(span, session=session), replace(span, run=session)):
        found = tuple(call for call in store.calls(where) if conversation_of(call) == session)
        if found:
            return found
    alone = store.call(session)
    return (alone,) if alone is not None else ()


def reader(store: Store, app: str | None, window: Window, *, at_once: bool) -> Read:
    """How to read the calls of a session in a window: from all calls, read at once, or session by session."""
    if not at_once:
        return lambda its_app, session: calls_of_session(store, its_app, session, window)
    kept: dict[str, list[CallRecord]] = {}
    for call in store.calls(CallFilter(app=app, since=window.start, until=window.end)):
        kept.setdefault(conversation_of(call), []).append(call)
    return lambda its_app, session: tuple(call for call in kept.get(session, ()) if its_app in {None, call.attribution.app})


def _usual(store: Store, app: str | None, weeks: Sequence[Window]) -> tuple[SessionCost, ...]:
    """Costs of the sessions before the reviewed week: of the week before, and of three more where that had few."""
    last = session_costs(store, app, weeks[-2].start, weeks[-2].end)
    if len(last) >= ENOUGH_SESSIONS:
        return last
    return (*session_costs(store, app, weeks[-1 - USUAL_WEEKS].start, weeks[-2].start), *last)


def _nobody(_: str) -> None:
    pass


def _by_feature(store: Store, app: str | None, week: Window) -> dict[str, Total]:
    found: dict[str, Total] = {}
    where = CallFilter(app=app, since=week.start, until=week.end)
    for (its_app, feature), total in store.totals(("app", "feature"), where).items():
        name = feature or its_app or ""
        found[name] = found[name] + total if name in found else total
    return found


def _by_model(store: Store, where: CallFilter) -> dict[tuple[str, str, str], Total]:
    found: dict[tuple[str, str, str], Total] = {}
    for (app, feature, provider, model), total in store.totals(("app", "feature", "provider", "model"), where).items():
        if model is not None:
            key = (feature or app or "", provider or "", model)
            found[key] = found[key] + total if key in found else total
    return found


def payers_of(store: Store, app: str | None, week: Window) -> dict[str, Payer]:
    found = store.totals(("app", "feature", "team", "owner", "agent"), CallFilter(app=app, since=week.start, until=week.end))
    payers: dict[str, tuple[int, Payer]] = {}
    for (its_app, feature, team, owner, agent), total in sorted(found.items(), key=_as_text):
        name = feature or its_app or ""
        if name not in payers or total.cost_nanos > payers[name][0]:
            payers[name] = (total.cost_nanos, Payer(its_app or "", team, owner, agent))
    return {name: payer for name, (_, payer) in payers.items()}


def _as_text(item: tuple[tuple[str | None, ...], Total]) -> tuple[str, ...]:
    return tuple(value or "" for value in item[0])


def _room(store: Store, app: str | None, calendar: Calendar, week: Window, plan: Plan) -> Headroom | None:
    """How much of the reserve of its month was used when the week ended."""
    if plan.total_nanos is None:
        return None
    month = calendar.month(week.days[-1])
    return headroom(plan, read_spend(store, app, calendar, week.end, month.start), calendar, month, week.end)


def _events(store: Store, app: str | None, weeks: Sequence[Window]) -> tuple[Event, ...]:
    week = weeks[-1]
    stops = store.events(EventFilter(app=app, kinds=STOPS, since=weeks[-1 - USUAL_WEEKS].start, until=week.end))
    return (*stops, *episode_events(store, app, week.start - _EPISODES_REACH))


def episode_events(store: Store, app: str | None, since: datetime) -> tuple[Event, ...]:
    """What is said of episodes since then, up to now: a case may have been settled after its week."""
    return store.events(EventFilter(app=app, kinds=CASE_KINDS, since=since))


def _stopped(read: Read, events: Iterable[Event]) -> dict[tuple[str, str], tuple[CallRecord, ...]]:
    keys = dict.fromkeys((event.app, event.session or event.run or "") for event in events if event.kind in STOPS)
    return {key: read(*key) for key in list(keys)[:MOST_STOPPED]}


def _dearest(read: Read, app: str | None, costs: Sequence[SessionCost], count: int | None) -> tuple[tuple[CallRecord, ...], ...]:
    some = nlargest(count or len(costs), costs, key=lambda cost: (cost.nanos, cost.session))
    return tuple(tuple(call for call in read(app, cost.session) if feature_of(call.attribution) == cost.feature) for cost in some)
