"""An episode: one anomaly from its first sign to its end, however many values stand out in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b

from runguard_core.anomalies._rules import Gravity, Kind


class What(StrEnum):
    """What became of an episode."""

    OPENED = "opened"
    WORSE = "worse"
    CLOSED = "closed"
    JOINED = "joined"  # a session stands out within its feature's episode: not announced, but it can be stopped


#: An open episode is announced again when its impact has grown so many times since it was announced last.
MARKEDLY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One anomaly.

    Attributes:
        id: stable: the same incident found again (after a restart, by another process, looking back) has the same id.
        kind: what was seen first; also: what else was seen while it was open.
        feature, agent, session, run, model: whom it concerns; "" where it concerns all of them.
        started_at, seen_at: its first and latest sign, ended_at: None while open; seconds since 1970 UTC.
        expected_nanos, seen_nanos: what was normal for what was looked at, and what it came to.
        impact_nanos: spent above the expected, over the whole episode so far; of a meter gap an estimate of what is missing.
        session_count: sessions that stood out (0 for kinds that look at a feature as a whole).
        evidence: one sentence. outcome: how it ended, "" while open. joined: the episode that it became part of.
        update_count: how often it was announced as worse.
    """

    id: str
    kind: Kind
    gravity: Gravity
    feature: str
    agent: str = ""
    session: str = ""
    run: str = ""
    model: str = ""
    started_at: float
    opened_at: float
    seen_at: float
    ended_at: float | None = None
    expected_nanos: int
    seen_nanos: int
    impact_nanos: int
    session_count: int = 0
    also: tuple[Kind, ...] = ()
    evidence: str = ""
    outcome: str = ""
    joined: str = ""
    update_count: int = 0

    @property
    def ratio(self) -> float:
        """Seen to expected; 0 where nothing was expected."""
        return self.seen_nanos / self.expected_nanos if self.expected_nanos else 0.0

    @property
    def subject(self) -> tuple[str, ...]:
        """What an episode is about: there is one open episode a subject."""
        if self.session:
            return ("session", self.feature, self.session)
        return ("gap", self.feature, self.model) if self.model else ("feature", self.feature)


@dataclass(frozen=True, slots=True)
class Change:
    """An episode was opened, got markedly worse, or was closed; `at_seconds` is when that was known."""

    what: What
    episode: Episode
    at_seconds: float


def episode_id(*parts: object) -> str:
    """The same parts, the same id."""
    return "an-" + blake2b("\0".join(map(str, parts)).encode("utf-8", "replace"), digest_size=6).hexdigest()


class Announced:
    """An open episode and what was last said of it."""

    __slots__ = ("episode", "said_impact_nanos")

    def __init__(self, episode: Episode) -> None:
        """Just opened."""
        self.episode, self.said_impact_nanos = episode, max(episode.impact_nanos, 1)

    def update(self, at_seconds: float, **values: object) -> list[Change]:
        """Note what is known now; a change comes back when it is markedly worse."""
        old = self.episode
        self.episode = now = replace(old, **values)  # type: ignore[arg-type]  # fields of Episode
        graver = now.gravity.rank > old.gravity.rank
        if not graver and now.impact_nanos < MARKEDLY * self.said_impact_nanos:
            return []
        self.said_impact_nanos = max(now.impact_nanos, 1)
        self.episode = replace(now, update_count=now.update_count + 1)
        return [Change(What.WORSE, self.episode, at_seconds)]

    def close(self, at_seconds: float, outcome: str, **values: object) -> Change:
        """It is over."""
        ended_at = values.pop("ended_at", self.episode.seen_at)
        self.episode = replace(self.episode, ended_at=ended_at, outcome=outcome, **values)  # type: ignore[arg-type]  # as above
        return Change(What.CLOSED, self.episode, at_seconds)
