"""What is said of an episode, one sentence a person can check."""

from __future__ import annotations

from runguard_core.anomalies._episodes import Episode
from runguard_core.anomalies._rules import Kind
from runguard_core.money import format_usd

_OF_FEATURE = {
    Kind.SPEND_RATE: "its hour came to {seen}, where {expected} is usual for this hour of the week",
    Kind.DAILY_THRESHOLD: "its day came to {seen} so far, where {expected} is usual by this hour",
    Kind.SLOW_DRIFT: "a session{agent} costs {seen} by the median, where {expected} was usual",
    Kind.SESSION_SPIKE: "{count} sessions stand out within hours, the last with {seen} where {expected} is usual",
}


def sentence(episode: Episode, turn: int = 0) -> str:
    """The evidence."""
    seen, expected = format_usd(episode.seen_nanos), format_usd(episode.expected_nanos)
    times = f" ({episode.ratio:.1f} times)" if episode.ratio else ""
    agent = f" of agent {episode.agent}" if episode.agent else ""
    if episode.kind is Kind.METER_GAP:
        gap = f"calls of {episode.model} used tokens and cost nothing"
        return f"feature {episode.feature}: {gap}; {seen} is missing by its usual price a token"
    if episode.session:
        where = f"at turn {turn}" if episode.kind is Kind.MID_SESSION else f"after {turn} turns"
        usual = "at that turn" if episode.kind is Kind.MID_SESSION else "for a whole session"
        return f"session {episode.session}{agent} has cost {seen} {where}, where {expected} is usual {usual}{times}"
    text = _OF_FEATURE[episode.kind].format(seen=seen, expected=expected, agent=agent, count=episode.session_count)
    return f"feature {episode.feature}: {text}{times}"
