"""Anomalies of a time for its review: what stood out, why, and in what state it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from runguard_core.anomalies import Episode, Kind
from runguard_core.finops._calendar import Window
from runguard_core.finops.owners import Case, CaseState, cases
from runguard_core.finops.reviews._page import Point
from runguard_core.finops.reviews._words import day_month, short_name
from runguard_core.ledger import Event
from runguard_core.money import brief_usd

_KINDS = {
    Kind.SESSION_SPIKE: "a session", Kind.MID_SESSION: "a session under way", Kind.SPEND_RATE: "an hour",
    Kind.DAILY_THRESHOLD: "a day", Kind.SLOW_DRIFT: "a drift", Kind.METER_GAP: "a gap in the meter",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A case, and the local date on which it was announced."""

    case: Case
    day: date

    @property
    def episode(self) -> Episode:
        """The watch's last word on it."""
        return self.case.episode

    @property
    def opened_at(self) -> datetime:
        """When it was announced (UTC)."""
        return self.case.announced_at

    @property
    def state(self) -> str:
        """One of open, over (it went away, nobody has said why), acknowledged, resolved, and the labels planned and false."""
        if self.case.label is not None:
            return self.case.label.value
        return "over" if self.case.state is CaseState.CLOSED else self.case.state.value

    @property
    def is_settled(self) -> bool:
        """Whether somebody has said what it was."""
        return self.case.state is CaseState.RESOLVED


def anomalies_of(events: Iterable[Event], zone: tzinfo = UTC) -> tuple[Anomaly, ...]:
    """Cases by their announcement; sessions that became part of their feature's episode are in its case."""
    found = [Anomaly(case, case.announced_at.astimezone(zone).date()) for case in cases(events)]
    return tuple(sorted(found, key=lambda one: (one.opened_at, one.case.id)))


def opened_in(anomalies: Iterable[Anomaly], window: Window) -> tuple[Anomaly, ...]:
    """Those that were announced in a window."""
    return tuple(one for one in anomalies if window.covers(one.opened_at))


def left_over(anomalies: Iterable[Anomaly], window: Window) -> tuple[Anomaly, ...]:
    """Those from before a window that nobody has settled."""
    return tuple(one for one in anomalies if one.opened_at < window.start and not one.is_settled)


def by_impact(one: Anomaly) -> tuple[int, str]:
    """The dearest first."""
    return -one.episode.impact_nanos, one.case.id


def cause_point(one: Anomaly, owner: str | None = None) -> Point:
    """An anomaly in a list: what it cost, its state, when and what it was, why, and who answers for it."""
    episode, case = one.episode, one.case
    kind = "several sessions" if episode.kind is Kind.SESSION_SPIKE and not episode.session else _KINDS[episode.kind]
    head = f"{episode.feature}: {kind}, {brief_usd(episode.impact_nanos)} ({one.state})"
    if case.cause:
        cause = f"Cause: {case.cause}{f' ({case.resolved_by})' if case.resolved_by else ''}."
    else:
        cause = f"{case.acknowledged_by} has it in hand." if case.acknowledged_by else "Cause not known yet."
    ends = f"{episode.id}, {short_name(owner)}" if owner else episode.id
    return Point(head, f"{day_month(one.day)}: {episode.evidence}. {cause} {ends}", "" if one.is_settled else "bad")
