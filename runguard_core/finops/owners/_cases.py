"""Cases: anomaly episodes and what people did with them. The state is a fold of events; each act is one event, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from runguard_core import events as ev
from runguard_core.anomalies import Episode, Label, moment
from runguard_core.attribution import Attribution, clean
from runguard_core.errors import PolicyError
from runguard_core.guard import episode_facts, filed_episodes
from runguard_core.ledger import Event

#: Kinds of events that a case is folded from.
CASE_KINDS = frozenset(
    {
        ev.ANOMALY_OPENED, ev.ANOMALY_WORSE, ev.ANOMALY_CLOSED, ev.ANOMALY_LABELLED, ev.ANOMALY_ACKNOWLEDGED,
        ev.ANOMALY_RESOLVED,
    }
)  # fmt: skip
#: At one instant what the watch says comes before what people say of it.
_ORDER = {ev.ANOMALY_OPENED: 0, ev.ANOMALY_WORSE: 1, ev.ANOMALY_CLOSED: 2}


class CaseState(StrEnum):
    """Where a case stands; a person's word counts for more than the watch's."""

    OPEN = "open"  # it goes on, and nobody has said anything
    ACKNOWLEDGED = "acknowledged"  # somebody has it in hand
    RESOLVED = "resolved"  # somebody has named its cause, or has called it planned or false
    CLOSED = "closed"  # it went away by itself: nobody has named a cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One anomaly from its first sign to its cause.

    Attributes:
        app, episode: whose, and the watch's last word on it.
        announced_at: when it was announced (one that `--record` filed: when it would have been).
        acknowledged_at, acknowledged_by, note: who took it first, None and "" where nobody did.
        resolved_at, resolved_by, cause: who named which cause; a label counts ("planned: launch week").
        label: planned or false, None where nobody judged it so.
        reopened_count: how often it got markedly worse after somebody had called it resolved.
    """

    app: str
    episode: Episode
    announced_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    note: str = ""
    resolved_at: datetime | None = None
    resolved_by: str = ""
    cause: str = ""
    label: Label | None = None
    reopened_count: int = 0

    @property
    def id(self) -> str:
        """The episode's."""
        return self.episode.id

    @property
    def state(self) -> CaseState:
        """One of four."""
        if self.resolved_at is not None:
            return CaseState.RESOLVED
        if self.acknowledged_at is not None:
            return CaseState.ACKNOWLEDGED
        return CaseState.OPEN if self.episode.ended_at is None else CaseState.CLOSED

    @property
    def detect_seconds(self) -> float:
        """From its first sign until it was announced."""
        return max(0.0, (self.announced_at - moment(self.episode.started_at)).total_seconds())

    @property
    def acknowledge_seconds(self) -> float | None:
        """From its announcement until somebody took it; None while nobody has."""
        return _after(self.announced_at, self.acknowledged_at)

    @property
    def resolve_seconds(self) -> float | None:
        """From its announcement until somebody named the cause; None while nobody has."""
        return _after(self.announced_at, self.resolved_at)


def cases(events: Iterable[Event]) -> tuple[Case, ...]:
    """Every case, by start; sessions that became part of their feature's episode are in its case.

    Args:
        events: of the kinds `CASE_KINDS`, others are passed over; in any order, as they come from several hosts.
    """
    ordered = in_order(event for event in events if event.kind in CASE_KINDS)
    filed, found = filed_episodes(ordered), dict[str, Case]()
    for event in ordered:
        one = filed.get(str(event.facts.get("episode")))
        if one is not None and not one.episode.joined:
            known = found.get(one.episode.id) or Case(app=event.app, episode=one.episode, announced_at=event.at)
            found[known.id] = _after_event(known, event)
    return tuple(sorted(found.values(), key=lambda case: (case.episode.started_at, case.id)))


def in_order(events: Iterable[Event]) -> list[Event]:
    """By time; at one instant what the watch says before what people say of it."""
    return sorted(events, key=lambda event: (event.at, _ORDER.get(event.kind, 3), event.id))


def _after_event(case: Case, event: Event) -> Case:
    by, facts = str(event.facts.get("by", "")), event.facts
    if event.kind == ev.ANOMALY_ACKNOWLEDGED and case.acknowledged_at is None:
        return replace(case, acknowledged_at=event.at, acknowledged_by=by, note=str(facts.get("note", "")))
    if event.kind == ev.ANOMALY_RESOLVED:
        return replace(case, resolved_at=event.at, resolved_by=by, cause=str(facts.get("cause", "")))
    if event.kind == ev.ANOMALY_LABELLED:
        label = next((one for one in Label if one == facts.get("label")), None)
        said = replace(case, label=label or case.label)
        if case.resolved_at is not None or label is None:
            return said
        return replace(said, resolved_at=event.at, resolved_by=by, cause=f"{label}: {facts.get('reason', '')}")
    if event.kind == ev.ANOMALY_WORSE and case.resolved_at is not None and case.label is None:
        return replace(case, resolved_at=None, resolved_by="", cause="", reopened_count=case.reopened_count + 1)
    return case


def acknowledged_event(case: Case, by: str, note: str, at: datetime) -> Event:
    """Somebody has it in hand. Its id is a claim: the first one to file it is the one.

    Raises:
        PolicyError: it is acknowledged or resolved already.
    """
    if case.state is CaseState.RESOLVED:
        raise PolicyError(key="EPISODE", expected=f"{case.id} is resolved, said {case.resolved_by}: {case.cause}")
    if case.acknowledged_at is not None:
        when = f"{case.acknowledged_at:%Y-%m-%d %H:%M} UTC"
        raise PolicyError(key="EPISODE", expected=f"{case.acknowledged_by} has acknowledged {case.id} on {when}")
    message = f"{clean(by)} has {case.id} in hand{f': {clean(note)}' if note else ''}"
    return _act(ev.ANOMALY_ACKNOWLEDGED, f"{case.id}-acknowledged", message, case, at, by=clean(by), note=clean(note))


def resolved_event(case: Case, by: str, cause: str, at: datetime) -> Event:
    """It is dealt with, and this was the cause. Its id is a claim; one that was reopened can be resolved again.

    Raises:
        PolicyError: no cause, or it is resolved already.
    """
    if not cause.strip():
        raise PolicyError(key="--cause", expected="say what caused it: the weekly review lists it")
    if case.state is CaseState.RESOLVED and case.label is None:
        raise PolicyError(key="EPISODE", expected=f"{case.id} is resolved already, said {case.resolved_by}: {case.cause}")
    message = f"{case.id} is resolved, says {clean(by)}: {clean(cause)}"
    key = f"{case.id}-resolved-{case.reopened_count}"
    return _act(ev.ANOMALY_RESOLVED, key, message, case, at, by=clean(by), cause=clean(cause))


def case_json(case: Case) -> dict[str, Any]:
    """A case; amounts as strings of nano-USD, times in ISO 8601, spans in seconds, None for what has not happened."""
    return {
        **episode_facts(case.episode), "app": case.app, "state": case.state.value,
        "label": case.label.value if case.label is not None else None, "announced_at": case.announced_at.isoformat(),
        "acknowledged_at": _iso(case.acknowledged_at), "acknowledged_by": case.acknowledged_by, "note": case.note,
        "resolved_at": _iso(case.resolved_at), "resolved_by": case.resolved_by, "cause": case.cause,
        "detect_seconds": case.detect_seconds, "acknowledge_seconds": case.acknowledge_seconds,
        "resolve_seconds": case.resolve_seconds, "reopened_count": case.reopened_count,
    }  # fmt: skip


def _act(kind: str, key: str, message: str, case: Case, at: datetime, **facts: str) -> Event:
    one = case.episode
    who = Attribution(app=case.app, feature=one.feature).with_values(
        agent=one.agent or None, session=one.session or None, run=one.run or None
    )
    return replace(ev.event(kind, ev.NOTICE, message, who, at, episode=one.id, **facts), id=key)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _after(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else max(0.0, (end - start).total_seconds())
