"""Anomalies of a week for its review: what stood out, why, and in what state it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from runguard_core.anomalies import Episode, Kind
from runguard_core.finops._calendar import Window
from runguard_core.finops.reviews._page import Point
from runguard_core.finops.reviews._words import day_month, short_name
from runguard_core.guard import FiledEpisode, filed_episodes
from runguard_core.ledger import Event
from runguard_core.money import brief_usd

_KINDS = {
    Kind.SESSION_SPIKE: "a session", Kind.MID_SESSION: "a session under way", Kind.SPEND_RATE: "an hour",
    Kind.DAILY_THRESHOLD: "a day", Kind.SLOW_DRIFT: "a drift", Kind.METER_GAP: "a gap in the meter",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """What people found out about an episode.

    Attributes:
        state: "acknowledged", "resolved" or "" where nobody has said anything. cause: why it happened. by: who says so.
    """

    state: str = ""
    cause: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An episode and its case.

    Attributes:
        opened_at: when it was announced (UTC); day: its local date.
        state: resolved, acknowledged, planned, false; else open or over (its spend is normal again; nobody has said why).
        cause: why, in a person's words; "" while unknown. by: whose words.
    """

    episode: Episode
    opened_at: datetime
    day: date
    state: str
    cause: str
    by: str

    @property
    def is_settled(self) -> bool:
        """Whether somebody has said what it was."""
        return self.state in {"resolved", "planned", "false"}


def anomalies_of(events: Iterable[Event], cases: Mapping[str, Case], zone: tzinfo = UTC) -> tuple[Anomaly, ...]:
    """Episodes by their opening; sessions that became part of their feature's episode are left out: it speaks for them."""
    filed = [one for one in filed_episodes(events).values() if not one.episode.joined]
    found = [_anomaly(one, cases.get(one.episode.id, Case()), zone) for one in filed]
    return tuple(sorted(found, key=lambda one: (one.opened_at, one.episode.id)))


def opened_in(anomalies: Iterable[Anomaly], window: Window) -> tuple[Anomaly, ...]:
    """Those that were opened in a window."""
    return tuple(one for one in anomalies if window.covers(one.opened_at))


def left_over(anomalies: Iterable[Anomaly], window: Window) -> tuple[Anomaly, ...]:
    """Those from before a window that nobody has settled."""
    return tuple(one for one in anomalies if one.opened_at < window.start and not one.is_settled)


def by_impact(one: Anomaly) -> tuple[int, str]:
    """The dearest first."""
    return -one.episode.impact_nanos, one.episode.id


def cause_point(one: Anomaly, owner: str | None = None) -> Point:
    """An anomaly in a list: what it cost, its state, when and what it was, why, and who answers for it."""
    episode = one.episode
    kind = "several sessions" if episode.kind is Kind.SESSION_SPIKE and not episode.session else _KINDS[episode.kind]
    head = f"{episode.feature}: {kind}, {brief_usd(episode.impact_nanos)} ({one.state})"
    cause = f"Cause: {one.cause}{f' ({one.by})' if one.by else ''}." if one.cause else "Cause not known yet."
    ends = f"{episode.id}, {short_name(owner)}" if owner else episode.id
    return Point(head, f"{day_month(one.day)}: {episode.evidence}. {cause} {ends}", "" if one.is_settled else "bad")


def _anomaly(filed: FiledEpisode, case: Case, zone: tzinfo) -> Anomaly:
    episode = filed.episode
    state = case.state or (filed.label.value if filed.label is not None else "")
    opened_at = datetime.fromtimestamp(episode.opened_at, UTC)
    reason = case.cause or filed.reason
    state = state or ("open" if episode.ended_at is None else "over")
    return Anomaly(episode, opened_at, opened_at.astimezone(zone).date(), state, reason, case.by or filed.by)
