"""Which past runs a limit may learn from: those that went well and did not stand out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from runguard_core.anomalies import Kind, Label
from runguard_core.guard import FiledEpisode
from runguard_core.replay import Recording

#: A level that has moved, and tokens that cost nothing, say nothing against one session.
_OF_SESSIONS = frozenset({Kind.SESSION_SPIKE, Kind.MID_SESSION, Kind.SPEND_RATE, Kind.DAILY_THRESHOLD})


class Health(StrEnum):
    """How a run went: WELL; STOOD_OUT: it ended well, within an episode of unusual spend that nobody called normal;
    BADLY; UNTOLD: nothing says so.
    """

    WELL = "well"
    STOOD_OUT = "stood out"
    BADLY = "badly"
    UNTOLD = "untold"


def healths(recordings: Sequence[Recording], episodes: Iterable[FiledEpisode], default: str) -> list[Health]:
    """The health of each run.

    Args:
        episodes: as the ledger has them; those that a person called normal ("false") count for nothing.
        default: the feature of runs that name none.
    """
    held = [one.episode for one in episodes if one.label is not Label.FALSE and one.episode.kind in _OF_SESSIONS]
    sessions = {one.session for one in held if one.session}
    spans: dict[str, list[tuple[float, float]]] = {}
    for one in held:
        if not one.session:
            spans.setdefault(one.feature, []).append((one.started_at, one.ended_at or float("inf")))
    return [_health(recording, sessions, spans.get(recording.who.get("feature") or default, ())) for recording in recordings]


def together(healths_of_runs: Iterable[Health]) -> Health:
    """Of a session's runs: the worst that is told."""
    found = set(healths_of_runs)
    return next((one for one in (Health.BADLY, Health.STOOD_OUT, Health.WELL) if one in found), Health.UNTOLD)


def _health(recording: Recording, sessions: set[str], spans: Iterable[tuple[float, float]]) -> Health:
    if recording.went_well is not True:
        return Health.UNTOLD if recording.went_well is None else Health.BADLY
    times = [event.at.timestamp() for event in recording.events if event.at is not None]
    is_within = bool(times) and any(start <= max(times) and min(times) <= end for start, end in spans)
    return Health.STOOD_OUT if is_within or recording.session in sessions else Health.WELL
