"""Episodes of a ledger: those that were announced, and those that looking back finds; the days around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from runguard_core.anomalies import Episode, WatchRules, latest, look_back, moment
from runguard_core.attribution import feature_of
from runguard_core.guard import FiledEpisode, episode_facts, filed_episodes
from runguard_core.ledger import CallRecord, Event


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """An episode for a reader.

    Attributes:
        filed: the episode and what people said of it. is_announced: False when only looking back found it.
    """

    filed: FiledEpisode
    is_announced: bool


def episode_rows(
    app: str, calls: Sequence[CallRecord], events: Iterable[Event], rules: WatchRules, *, zone: tzinfo = UTC, now: datetime
) -> list[EpisodeRow]:
    """Announced episodes, and those found by looking back that were not announced, the newest first.

    What was found and overlaps an announced episode about the same thing is that one. Sessions that became part of their
    feature's episode are left out: it speaks for them.
    """
    filed = filed_episodes(event for event in events if event.app == app)
    labels = {one.episode.id: one.label for one in filed.values() if one.label is not None}
    found = latest(look_back(app, calls, rules, zone, labels, now.timestamp()))
    rows = [EpisodeRow(one, True) for one in filed.values()]
    known = [one.episode for one in filed.values()]
    rows += [
        EpisodeRow(FiledEpisode(one), False)
        for one in found.values()
        if one.id not in filed and not any(_same(one, other) for other in known)
    ]
    rows = [row for row in rows if not row.filed.episode.joined]
    return sorted(rows, key=lambda row: (row.filed.episode.started_at, row.filed.episode.id), reverse=True)


def _same(one: Episode, other: Episode) -> bool:
    first, last = max(one.started_at, other.started_at), min(_end(one), _end(other))
    return one.subject == other.subject and first <= last


def _end(episode: Episode) -> float:
    return episode.ended_at if episode.ended_at is not None else float("inf")


def episode_json(row: EpisodeRow) -> dict[str, Any]:
    """An episode; amounts as strings of nano-USD, times in ISO 8601."""
    filed = row.filed
    return {
        **episode_facts(filed.episode), "state": filed.state, "is_announced": row.is_announced,
        "label": filed.label.value if filed.label is not None else None, "by": filed.by, "reason": filed.reason,
    }  # fmt: skip


def feature_days(calls: Iterable[CallRecord], feature: str, zone: tzinfo, last: date, count: int) -> list[int]:
    """What a feature spent on each of the last days, oldest first, nano-USD."""
    first = last - timedelta(days=count - 1)
    sums = [0] * count
    for call in calls:
        if feature_of(call.attribution) == feature and call.settlement is not None:
            place = (call.settlement.at.astimezone(zone).date() - first).days
            if 0 <= place < count:
                sums[place] += call.cost_nanos
    return sums


def day_of(at_seconds: float, zone: tzinfo) -> date:
    """The local day of an instant."""
    return moment(at_seconds).astimezone(zone).date()
