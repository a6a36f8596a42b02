"""Episodes as events of the ledger, and events as episodes again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from runguard_core import events as ev
from runguard_core.anomalies import Change, Episode, Gravity, Kind, Label, What, moment
from runguard_core.attribution import Attribution, clean
from runguard_core.errors import PolicyError
from runguard_core.ledger import Event
from runguard_core.money import format_usd

_KINDS = {What.OPENED: ev.ANOMALY_OPENED, What.WORSE: ev.ANOMALY_WORSE, What.CLOSED: ev.ANOMALY_CLOSED}
_ANNOUNCED = frozenset(_KINDS.values())


@dataclass(frozen=True, slots=True)
class FiledEpisode:
    """An episode as the ledger has it, and what people have said of it.

    Attributes:
        episode: the last word on it. label: planned or false, None while nobody has judged it. by, reason: who and why.
    """

    episode: Episode
    label: Label | None = None
    by: str = ""
    reason: str = ""

    @property
    def state(self) -> str:
        """One of open, closed, joined (part of another) and the labels."""
        if self.label is not None:
            return self.label.value
        if self.episode.joined:
            return "joined"
        return "open" if self.episode.ended_at is None else "closed"


def anomaly_event(change: Change, app: str, at: datetime | None = None) -> Event:
    """A change as an event. The same change has the same id, so that two processes that see it write it once.

    Args:
        change: opened, worse or closed. app: whose. at: when it was announced; None: when the calls showed it.
    """
    episode = change.episode
    number = f"-{episode.update_count}" if change.what is What.WORSE else ""
    return Event(
        id=f"{episode.id}-{change.what.value}{number}", kind=_KINDS[change.what], at=at or moment(change.at_seconds),
        severity=ev.NOTICE if change.what is What.CLOSED else ev.WARN, message=_message(change), app=app,
        session=episode.session or None, run=episode.run or None, agent=episode.agent or None, feature=episode.feature,
        facts=episode_facts(episode),
    )  # fmt: skip


def _message(change: Change) -> str:
    episode = change.episode
    impact = format_usd(episode.impact_nanos)
    if change.what is What.OPENED:
        return f"{episode.evidence}: {impact} above the expected so far"
    if change.what is What.WORSE:
        return f"getting worse, {impact} above the expected by now: {episode.evidence}"
    return f"over ({episode.outcome}), {impact} above the expected in all: {episode.evidence}"


def episode_facts(episode: Episode) -> dict[str, Any]:
    """An episode as JSON values; amounts are strings of nano-USD, times ISO 8601 in UTC."""
    return {
        "episode": episode.id, "kind": episode.kind.value, "severity": episode.gravity.value,
        "feature": episode.feature, "agent": episode.agent, "session": episode.session, "run": episode.run,
        "model": episode.model, "started_at": _iso(episode.started_at), "opened_at": _iso(episode.opened_at),
        "seen_at": _iso(episode.seen_at), "ended_at": None if episode.ended_at is None else _iso(episode.ended_at),
        "expected_nanos": str(episode.expected_nanos), "seen_nanos": str(episode.seen_nanos),
        "impact_nanos": str(episode.impact_nanos), "ratio": f"{episode.ratio:.2f}", "session_count": episode.session_count,
        "also": [kind.value for kind in episode.also], "evidence": episode.evidence, "outcome": episode.outcome,
        "joined": episode.joined, "update_count": episode.update_count,
    }  # fmt: skip


def episode_of(facts: Any) -> Episode:
    """The way back.

    Raises:
        KeyError, ValueError, TypeError: these are no facts of an episode.
    """
    return Episode(
        id=str(facts["episode"]), kind=Kind(facts["kind"]), gravity=Gravity(facts["severity"]), feature=str(facts["feature"]),
        agent=facts["agent"], session=facts["session"], run=facts["run"], model=facts["model"],
        started_at=_seconds(facts["started_at"]), opened_at=_seconds(facts["opened_at"]), seen_at=_seconds(facts["seen_at"]),
        ended_at=None if facts["ended_at"] is None else _seconds(facts["ended_at"]),
        expected_nanos=int(facts["expected_nanos"]), seen_nanos=int(facts["seen_nanos"]),
        impact_nanos=int(facts["impact_nanos"]), session_count=int(facts["session_count"]),
        also=tuple(map(Kind, facts["also"])), evidence=facts["evidence"], outcome=facts["outcome"], joined=facts["joined"],
        update_count=int(facts["update_count"]),
    )  # fmt: skip


def filed_episodes(events: Iterable[Event]) -> dict[str, FiledEpisode]:
    """Episodes by id, in the order in which they were opened; what cannot be read is passed over."""
    found: dict[str, FiledEpisode] = {}
    for event in events:
        file_event(found, event)
    return found


def file_event(found: dict[str, FiledEpisode], event: Event) -> FiledEpisode | None:
    """Take one event into account; the episode it speaks of, None when it speaks of none."""
    try:
        if event.kind in _ANNOUNCED:
            episode = episode_of(event.facts)
            known = found.get(episode.id)
            if known is None:
                found[episode.id] = FiledEpisode(episode)
            elif known.episode.ended_at is None:
                found[episode.id] = replace(known, episode=episode)
            return found[episode.id]
        if event.kind == ev.ANOMALY_LABELLED and (known := found.get(str(event.facts["episode"]))) is not None:
            by, reason = str(event.facts.get("by", "")), str(event.facts.get("reason", ""))
            found[known.episode.id] = FiledEpisode(known.episode, Label(event.facts["label"]), by, reason)
            return found[known.episode.id]
    except (KeyError, ValueError, TypeError):
        pass
    return None


def label_event(episode: Episode, label: str, by: str, reason: str, app: str, at: datetime) -> Event:
    """A person's judgement of an episode.

    Raises:
        PolicyError: another label, or no reason.
    """
    if label not in {one.value for one in Label}:
        raise PolicyError(key="--as", expected=f"expected planned or false, got {label!r:.40}")
    if not reason.strip():
        raise PolicyError(key="--reason", expected="say why: the next one who reads it will ask")
    who = Attribution(app=app, feature=episode.feature).with_values(
        agent=episode.agent or None, session=episode.session or None, run=episode.run or None
    )
    message = f"episode {episode.id} is {label}{f' says {clean(by)}' if by else ''}: {clean(reason)}"
    return ev.event(
        ev.ANOMALY_LABELLED, ev.NOTICE, message, who, at,
        episode=episode.id, label=label, by=clean(by), reason=clean(reason),
    )  # fmt: skip


def _iso(at_seconds: float) -> str:
    return moment(at_seconds).isoformat(timespec="milliseconds")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()
