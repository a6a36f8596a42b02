"""How each agent uses tokens: how long its prompts are, how much is cached, what a session takes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from runguard_core.finops._session_costs import percentile
from runguard_core.ledger import CallFilter, Store, Total


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTokens:
    """One agent of one feature in a span.

    Attributes:
        feature: the app where calls named none. agent: None where calls named none.
        call_count: model calls. session_count: sessions with one.
        prompt_tokens: of a call by the mean, history, instructions and tools' results included; answer_tokens: likewise.
        cached_ratio: of the prompts' tokens, 0 to 1.
        session_tokens, session_p95_tokens: prompts and answers of a session, median and 95th percentile.
        session_calls: model calls of a session by the mean.
    """

    feature: str
    agent: str | None
    call_count: int
    session_count: int
    prompt_tokens: int
    answer_tokens: int
    cached_ratio: float
    session_tokens: int
    session_p95_tokens: int
    session_calls: float


def agent_tokens(store: Store, app: str, since: datetime, until: datetime) -> tuple[AgentTokens, ...]:
    """By feature and agent, those that take most tokens a session first; sums come from the ledger's roll-ups."""
    found = store.totals(("feature", "agent", "conversation"), CallFilter(app=app, since=since, until=until))
    groups: dict[tuple[str, str | None], list[Total]] = defaultdict(list)
    for (feature, agent, _), total in found.items():
        if total.call_count:
            groups[feature or app, agent].append(total)
    rows = [_row(feature, agent, totals) for (feature, agent), totals in groups.items()]
    return tuple(sorted(rows, key=lambda row: (-row.session_tokens, row.feature, row.agent or "")))


def _row(feature: str, agent: str | None, totals: list[Total]) -> AgentTokens:
    calls = sum(total.call_count for total in totals)
    prompt = sum(total.usage.input_tokens for total in totals)
    sessions = sorted(total.usage.input_tokens + total.usage.output_tokens for total in totals)
    return AgentTokens(
        feature=feature, agent=agent, call_count=calls, session_count=len(totals), prompt_tokens=round(prompt / calls),
        answer_tokens=round(sum(total.usage.output_tokens for total in totals) / calls),
        cached_ratio=sum(total.usage.cache_read_input_tokens for total in totals) / prompt if prompt else 0.0,
        session_tokens=percentile(sessions, 0.5) or 0, session_p95_tokens=percentile(sessions, 0.95) or 0,
        session_calls=round(calls / len(totals), 2),
    )  # fmt: skip


def tokens_json(row: AgentTokens) -> dict[str, Any]:
    """As its fields."""
    return asdict(row)
