"""`[detectors.NAME]` of the detectors that judge model calls."""

from __future__ import annotations

from pydantic import Field

from runguard_core.detectors import ContextGrowth, Delegation, Overflow, RateLimit, SameAnswer, Truncation, TurnDetector
from runguard_core.policy._table import ModeName, Table


class OverflowTable(Table):
    """`[detectors.overflow]`."""

    mode: ModeName | None = None
    warn_ratio: float = Field(default=0.9, gt=0, le=1, description="share of the model's window that is announced")
    window_tokens: dict[str, int] = Field(default={}, description='windows by model: { "llama3.1" = 8192 }')


class ContextGrowthTable(Table):
    """`[detectors.context_growth]`."""

    mode: ModeName | None = None
    warn_tokens: int = Field(default=50_000, ge=1, description="a prompt of so many tokens is announced ...")
    warn_ratio: float = Field(default=4.0, ge=1, description="... once it is so many times the first one")
    surge_warn_after: int = Field(default=4, ge=2, description="turns in a row that each grew faster than the one before")
    stop_after: int = Field(default=5, ge=2, description="so many of them")
    stop_tokens: int | None = Field(default=None, ge=1, description="no prompt of more tokens is sent")


class TruncationTable(Table):
    """`[detectors.truncation]`."""

    mode: ModeName | None = None
    stop_after: int = Field(default=2, ge=1, description="prompts in a row without the system prompt that a cut took away")
    flat_after: int = Field(default=2, ge=1, description="longer prompts in a row that the provider counted the same")


class RateLimitTable(Table):
    """`[detectors.rate_limit]`."""

    mode: ModeName | None = None
    warn_after: int = Field(default=3, ge=1)
    stop_after: int = Field(default=10, ge=1)
    window_seconds: float = Field(default=7200.0, gt=0, description="older attempts do not count")


class DelegationTable(Table):
    """`[detectors.delegation]`."""

    mode: ModeName | None = None
    warn_after: int = Field(default=1, ge=1, description="rounds of visits that brought nothing new")
    stop_after: int = Field(default=2, ge=1)


class SameAnswerTable(Table):
    """`[detectors.same_answer]`."""

    mode: ModeName | None = None
    warn_after: int = Field(default=3, ge=1, description="answers in a row that had been given before, nothing new in between")
    stop_after: int = Field(default=5, ge=2, description="answers in a row that were the same word for word")
    idle_after: int = Field(default=12, ge=2, description="answers in a row without a tool call, nobody asking: only announced")


class TurnTables(Table):
    """The part of `[detectors]` that is about model calls."""

    advise: bool = Field(default=False, description="tell the agent what was warned of and what is left (changes prompts)")
    overflow: OverflowTable = OverflowTable()
    context_growth: ContextGrowthTable = ContextGrowthTable()
    truncation: TruncationTable = TruncationTable()
    rate_limit: RateLimitTable = RateLimitTable()
    delegation: DelegationTable = DelegationTable()
    same_answer: SameAnswerTable = SameAnswerTable()


def turn_detectors(tables: TurnTables) -> tuple[TurnDetector, ...]:
    """The detectors that the tables describe."""
    kinds = {
        Overflow: tables.overflow, Truncation: tables.truncation, RateLimit: tables.rate_limit, Delegation: tables.delegation,
        SameAnswer: tables.same_answer, ContextGrowth: tables.context_growth,
    }  # fmt: skip
    return tuple(kind(**table.model_dump(exclude={"mode"})) for kind, table in kinds.items())
