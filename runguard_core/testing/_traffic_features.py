"""The product that the generated traffic comes from: six features of one company, and the hours in which they are used."""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.testing._traffic_sizes import CHAT_ANSWER, CHAT_PROMPT, CODE_ANSWER, CODE_PROMPT, Sizes

#: Share of a day's sessions that start in each local hour, by kind of use (normalised when drawn).
OFFICE = (1, 1, 1, 1, 1, 2, 6, 20, 55, 80, 85, 75, 55, 75, 85, 80, 65, 40, 18, 9, 5, 3, 2, 1)
CONSUMER = (16, 9, 6, 4, 4, 7, 15, 27, 38, 45, 50, 54, 57, 54, 50, 50, 54, 63, 75, 84, 84, 72, 50, 30)
ALL_DAY = (38, 34, 32, 31, 32, 36, 42, 48, 54, 58, 60, 60, 58, 60, 60, 58, 55, 52, 50, 48, 46, 44, 42, 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTraffic:
    """How one feature is used.

    Attributes:
        feature, team, owner, agent: who pays; owner "" leaves it unowned.
        provider, model: what it calls; dear_model: what a careless change would make it call.
        prompt, answer: token sizes of a question and of an answer.
        system_tokens: instructions and tools' schemas, sent with every call.
        tool, tool_tokens: what it looks things up with, and how much of it comes back by the median.
        sessions_per_day: on a weekday; weekend_ratio: of it on Saturdays and Sundays; hours: shape of the day.
        turns: model calls of a session by the mean. growth_per_week: of the number of sessions.
        account: the provider's project or workspace that its calls go to, "" where that is not known.
        untagged_ratio: share of its sessions that carry no team.
    """

    feature: str
    team: str
    owner: str
    agent: str
    provider: str
    model: str
    dear_model: str
    prompt: Sizes
    answer: Sizes
    system_tokens: int
    tool: str
    tool_tokens: int
    sessions_per_day: float
    weekend_ratio: float
    hours: tuple[int, ...]
    turns: float
    growth_per_week: float = 0.01
    users: int = 200
    account: str = ""
    untagged_ratio: float = 0.0


FEATURES = (
    FeatureTraffic(
        feature="support-chat", team="care", owner="ana@example.com", agent="helper", provider="anthropic",
        model="claude-haiku-4-5", dear_model="claude-opus-4-1", prompt=CHAT_PROMPT, answer=CHAT_ANSWER, system_tokens=6000,
        tool="find_article", tool_tokens=900, sessions_per_day=45, weekend_ratio=0.7, hours=CONSUMER, turns=4, users=900,
    ),
    FeatureTraffic(
        feature="code-review", team="platform", owner="ben@example.com", agent="reviewer", provider="anthropic",
        model="claude-sonnet-4-5", dear_model="claude-opus-4-1", prompt=CODE_PROMPT, answer=CODE_ANSWER, system_tokens=9000,
        tool="read_file", tool_tokens=1500, sessions_per_day=16, weekend_ratio=0.15, hours=OFFICE, turns=9, users=40,
    ),
    FeatureTraffic(
        feature="search", team="discovery", owner="cleo@example.com", agent="searcher", provider="openai",
        model="gpt-4.1", dear_model="gpt-4-turbo", prompt=CHAT_PROMPT, answer=CODE_ANSWER, system_tokens=4000,
        tool="query_index", tool_tokens=1200, sessions_per_day=60, weekend_ratio=0.8, hours=CONSUMER, turns=2.2, users=1500,
    ),
    FeatureTraffic(
        feature="report-writer", team="insights", owner="dan@example.com", agent="analyst", provider="anthropic",
        model="claude-sonnet-4-5", dear_model="claude-opus-4-1", prompt=CHAT_PROMPT, answer=CHAT_ANSWER, system_tokens=12000,
        tool="run_query", tool_tokens=2500, sessions_per_day=7, weekend_ratio=0.1, hours=OFFICE, turns=13, users=25,
    ),
    FeatureTraffic(
        feature="ticket-triage", team="care", owner="", agent="sorter", provider="openai", model="gpt-4.1", dear_model="o1",
        prompt=CODE_PROMPT, answer=CODE_ANSWER, system_tokens=7000, tool="similar_tickets", tool_tokens=1100,
        sessions_per_day=50, weekend_ratio=0.5, hours=ALL_DAY, turns=1.8, users=300,
    ),
    FeatureTraffic(
        feature="sales-assistant", team="growth", owner="eva@example.com", agent="scout", provider="openai", model="gpt-5",
        dear_model="gpt-5-pro", prompt=CHAT_PROMPT, answer=CHAT_ANSWER, system_tokens=8000, tool="look_up_company",
        tool_tokens=1400, sessions_per_day=22, weekend_ratio=0.2, hours=OFFICE, turns=6, users=60, growth_per_week=0.03,
    ),
)  # fmt: skip
