"""What stops of the breaker avoided: an estimate, and the rule that it follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runguard_core.errors import RETRY_WHEN_SETTLED
from runguard_core.finops._session_costs import SessionCost, percentile
from runguard_core.finops.reviews._material import STOPS, Material
from runguard_core.ledger import CallRecord, Event

#: Fewer comparable sessions than this support no estimate.
LEAST_PEERS = 5
RULE = (
    "an estimate: a stopped session would have spent what sessions that reached the same cost and were not stopped still spent "
    "after it, by the median (of the same feature, in the week and those it is compared with; of all features where fewer than "
    "five are comparable; nothing where there are none), less what it spent after its stop; a stopped session avoids "
    "no other session"
)


@dataclass(frozen=True, slots=True)
class Avoided:
    """One stopped session.

    Attributes:
        feature, session, at, rule: what was stopped, when, by which rule.
        spent_nanos: charged to calls admitted before the stop; later_nanos: to those after it.
        peer_count: comparable sessions. nanos: avoided, by the median of what they still spent.
        most_nanos: the same by their 95th percentile.
    """

    feature: str
    session: str
    at: datetime
    rule: str
    spent_nanos: int
    later_nanos: int
    peer_count: int
    nanos: int
    most_nanos: int


def avoided(material: Material) -> tuple[Avoided, ...]:
    """Sessions that were stopped in the week, each once, in the order of their first stops."""
    ran = {feature: _not_stopped(its, first_stops(material.events)) for feature, its in _together(material).items()}
    stops = first_stops(event for event in material.events if material.week.covers(event.at))
    every = [cost for costs in ran.values() for cost in costs]
    found = []
    for event in stops.values():
        calls = material.stopped.get((event.app, _session(event)), ())
        feature = event.feature or event.app
        found.append(_estimated(event, feature, calls, ran.get(feature, ()), every))
    return tuple(found)


def first_stops(events: Iterable[Event]) -> dict[tuple[str, str], Event]:
    """The first stop of each session, by (app, session); a call that only had to wait for others was no stop."""
    found: dict[tuple[str, str], Event] = {}
    for event in events:
        if event.kind in STOPS and event.facts.get("retry") != RETRY_WHEN_SETTLED:
            found.setdefault((event.app, _session(event)), event)
    return found


def remaining(spent_nanos: int, costs: Iterable[int]) -> list[int]:
    """What sessions that reached a cost still spent after it, ascending."""
    return sorted(nanos - spent_nanos for nanos in costs if nanos >= spent_nanos)


def _session(event: Event) -> str:
    return event.session or event.run or ""


def _together(material: Material) -> dict[str, list[SessionCost]]:
    names = sorted({*material.sessions, *material.usual})
    return {name: [*material.usual.get(name, ()), *material.sessions.get(name, ())] for name in names}


def _not_stopped(costs: Sequence[SessionCost], stops: Mapping[tuple[str, str], Event]) -> list[int]:
    names = {session for _, session in stops}
    return [cost.nanos for cost in costs if cost.session not in names]


def _estimated(event: Event, feature: str, calls: Sequence[CallRecord], own: Sequence[int], every: Sequence[int]) -> Avoided:
    spent = sum(call.cost_nanos for call in calls if call.started_at < event.at)
    later = sum(call.cost_nanos for call in calls if call.started_at >= event.at)
    peers = remaining(spent, own) if calls else []
    if len(peers) < LEAST_PEERS:
        peers = remaining(spent, every) if calls else []
    if len(peers) < LEAST_PEERS:
        peers = []
    usual, most = (percentile(peers, share) or 0 for share in (0.5, 0.95))
    rule = str(event.facts.get("budget") or event.facts.get("rule") or event.kind)
    return Avoided(
        feature, _session(event), event.at, rule, spent, later, len(peers), max(usual - later, 0), max(most - later, 0)
    )  # fmt: skip
