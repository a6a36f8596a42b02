"""Notices of anomaly episodes: told once, again when markedly worse, taken in hand, over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from runguard_core import events as ev
from runguard_core.anomalies import Episode, Gravity, Kind
from runguard_core.finops.owners._cases import CASE_KINDS, in_order
from runguard_core.finops.owners._look import Look, cents
from runguard_core.finops.owners._notice import Notice, Step, Urgency
from runguard_core.finops.owners._recipients import Concerned, Recipient
from runguard_core.guard import filed_episodes
from runguard_core.ledger import Event

_WATCH = frozenset({ev.ANOMALY_OPENED, ev.ANOMALY_WORSE, ev.ANOMALY_CLOSED})
_WHAT = {
    Kind.SESSION_SPIKE: "its sessions", Kind.MID_SESSION: "its sessions", Kind.SPEND_RATE: "its hour",
    Kind.DAILY_THRESHOLD: "its day", Kind.SLOW_DRIFT: "its level of cost per session", Kind.METER_GAP: "its calls",
}  # fmt: skip
_URGENCY = {Gravity.MINOR: Urgency.WARNING, Gravity.MAJOR: Urgency.WARNING, Gravity.CRITICAL: Urgency.ERROR}


def episode_notices(events: Iterable[Event], look: Look) -> Iterator[Notice]:
    """What is to be said of episodes, in the order of what happened.

    Args:
        events: of the kinds `CASE_KINDS`, of each episode all: whether somebody was told is folded from the beginning.
    """
    stories: dict[str, list[Event]] = defaultdict(list)
    for event in in_order(event for event in events if event.kind in CASE_KINDS and event.app == look.app):
        stories[str(event.facts.get("episode"))].append(event)
    for story in stories.values():
        yield from _Told(look).hear(story)


@dataclass(slots=True)
class _Told:
    """One episode as its people hear of it: who was told stays the same until its end, whoever is away by then."""

    look: Look
    episode: Episode | None = None
    people: tuple[Recipient, ...] = ()
    is_over: bool = False
    end_count: int = 0
    found: list[Notice] = field(default_factory=list)

    def hear(self, story: Iterable[Event]) -> list[Notice]:
        """Everything to be said, of what happened when it is wanted."""
        for event in story:
            if event.kind in _WATCH:
                self._watched(event)
            elif self.people and not self.is_over:
                self._acted(event)
        return [notice for notice in self.found if self.look.wants(notice.at)]

    def _watched(self, event: Event) -> None:
        episode = next((filed.episode for filed in filed_episodes([event]).values()), None)
        if episode is None:
            return
        self.episode = episode
        was_told = bool(self.people)
        if not was_told and self._is_reached(episode) and not episode.joined:
            rung = self.look.ladder.session if episode.session else self.look.ladder.feature
            self.people = self.look.told(rung, self._about(episode), event.at)
        if self.people and (event.kind != ev.ANOMALY_CLOSED or not was_told):
            self.is_over = False
            is_worse = event.kind == ev.ANOMALY_WORSE
            self._say(event, Step.TRIGGER, _happened(episode, is_worse=is_worse), episode.update_count if is_worse else 0)
        if event.kind == ev.ANOMALY_CLOSED and self.people and not self.is_over:
            self._end(event, f"part of {episode.joined} now" if episode.joined else f"over: {episode.outcome}")

    def _acted(self, event: Event) -> None:
        by, facts = event.facts.get("by") or "somebody", event.facts
        if event.kind == ev.ANOMALY_ACKNOWLEDGED:
            note = f": {facts['note']}" if facts.get("note") else ""
            self._say(event, Step.ACKNOWLEDGE, f"{by} has it in hand{note}")
        elif event.kind == ev.ANOMALY_RESOLVED:
            self._end(event, f"resolved by {by}: {facts.get('cause', '')}")
        elif event.kind == ev.ANOMALY_LABELLED:
            self._end(event, f"{facts.get('label')}, says {by}: {facts.get('reason', '')}")

    def _is_reached(self, episode: Episode) -> bool:
        times = (self.look.ladder.session if episode.session else self.look.ladder.feature).times
        return times is not None and episode.ratio >= times

    def _about(self, episode: Episode) -> Concerned:
        return self.look.about(episode.feature, episode.agent or None)

    def _end(self, event: Event, what: str) -> None:
        self.is_over = True
        self._say(event, Step.RESOLVE, what, self.end_count)
        self.end_count += 1

    def _say(self, event: Event, step: Step, what: str, number: int = 0) -> None:
        episode = self.episode
        if episode is None:
            return
        whose = f"session {episode.session}" if episode.session else episode.model or _WHAT[episode.kind]
        title, facts = f"{episode.feature}: {whose}: {what}", _facts(episode)
        for one in self.people:
            notice = self.look.notice(
                one, self._about(episode), key=episode.id, step=step, urgency=_URGENCY[episode.gravity], at=event.at,
                title=title, text=_text(episode, step, one), facts=facts, number=number, session=episode.session or None,
            )  # fmt: skip
            self.found.append(notice)


def _facts(episode: Episode) -> dict[str, Any]:
    return {
        "episode": episode.id, "kind": episode.kind.value, "severity": episode.gravity.value,
        "expected_nanos": str(episode.expected_nanos), "seen_nanos": str(episode.seen_nanos),
        "impact_nanos": str(episode.impact_nanos), "ratio": f"{episode.ratio:.2f}",
    }  # fmt: skip


def _happened(episode: Episode, *, is_worse: bool) -> str:
    if is_worse:
        return f"getting worse, {cents(episode.impact_nanos)} above the usual by now"
    if not episode.expected_nanos:
        return episode.kind.value.replace("_", " ")
    return f"{cents(episode.seen_nanos)}, {episode.ratio:.1f} times the usual {cents(episode.expected_nanos)}"


def _text(episode: Episode, step: Step, told: Recipient) -> str:
    lines = [f"{episode.evidence}.", f"{cents(episode.impact_nanos)} above the expected so far, {episode.gravity.value}."]
    if episode.session_count > 1:
        lines.append(f"{episode.session_count} sessions stand out; this one alert is of all of them.")
    if step is Step.TRIGGER:
        lines.append(f"In hand? runguard anomaly ack {episode.id} --by {told.to}")
        lines.append(f'Dealt with? runguard anomaly resolve {episode.id} --by {told.to} --cause "..."')
    return "\n".join(lines)
