"""What the book knows about one call: `CallRecord` at admission, `Settlement` at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty, OutcomeKind, PromptPart
from runguard_core.usage import Usage


class CallState(StrEnum):
    """Where a call stands in the book; ASSUMED becomes POSTED when the truth arrives late."""

    PENDING = "pending"
    POSTED = "posted"
    VOIDED = "voided"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a call ended and what it cost.

    Attributes:
        at: when it was known (UTC).
        outcome: completed, failed, cancelled or unknown.
        amounts: actual amount per account key, in the account's smallest part; accounts left out settle at 0.
        cost_nanos: the charge in nano-USD; None when unpriced.
        certainty: exact, estimated, unpriced or assumed.
        usage: tokens, reported or estimated (see certainty); None when nothing is known.
        duration_seconds: from admission to the end, on the stopwatch; None when unknown.
        result_hash, result_chars: of a tool's result or an answer's text.
        The rest: as in `Outcome`.
    """

    at: datetime
    outcome: OutcomeKind
    amounts: Mapping[str, int] = field(default_factory=dict)
    cost_nanos: int | None = 0
    certainty: Certainty = Certainty.EXACT
    usage: Usage | None = None
    duration_seconds: float | None = None
    model_answered: str | None = None
    provider_request_id: str | None = None
    error: str | None = None
    error_status: int | None = None
    attempt_count: int | None = None
    from_cache: bool = False
    tool_names: tuple[str, ...] = ()
    result_hash: str | None = None
    result_chars: int = 0
    note: str | None = None

    def record(self) -> Settlement:
        """Itself: the whole value, as `SettlementDraft.record` gives it."""
        return self

    def same_as(self, other: Settlement) -> bool:
        """Whether both say the same about money: a repeated post is then no conflict."""
        return (
            self.cost_nanos == other.cost_nanos
            and self.certainty == other.certainty
            and dict(self.amounts) == dict(other.amounts)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call in the book.

    Attributes:
        id: time-ordered id, also the idempotency key.
        kind: model or tool; a sub-agent's part of a budget is kept like a call.
        name: model asked for, tool, or sub-agent.
        attribution: who pays.
        started_at: when it was admitted (UTC).
        quote_nanos: set aside for it in nano-USD; None when unpriced.
        quote_is_bound: whether the quote was the most it could cost.
        signature: keyed digest of a tool call; None for models.
        parts: what the prompt was made of.
        policy_hash: of the policy that admitted it.
        unverified: admitted although the store could not be asked.
        state: where it stands; settlement: how it ended, None while pending.
    """

    id: str
    kind: CallKind
    name: str
    attribution: Attribution
    started_at: datetime
    provider: str | None = None
    account: str | None = None
    key_fingerprint: str | None = None
    quote_nanos: int | None = 0
    quote_is_bound: bool = False
    max_output_tokens: int | None = None
    signature: str | None = None
    parts: tuple[PromptPart, ...] = ()
    policy_hash: str = ""
    unverified: bool = False
    state: CallState = CallState.PENDING
    settlement: Settlement | None = None

    @property
    def who(self) -> Attribution:
        """Whose call it is; a draft's lacks turn and loop."""
        return self.attribution

    @property
    def is_paid(self) -> bool:
        """Whether it may cost something itself: a sub-agent's part is no call, what it spends is in the sub-agent's calls."""
        return self.kind is not CallKind.CHILD

    @property
    def cost_nanos(self) -> int:
        """Charged so far in nano-USD: 0 while pending, voided or unpriced."""
        return (self.settlement.cost_nanos or 0) if self.settlement is not None else 0

    def record(self) -> CallRecord:
        """Itself: the whole value, as `CallDraft.record` gives it."""
        return self

    def same_request(self, other: CallRecord) -> bool:
        """Whether a repeated reserve asks for the same thing."""
        return (self.kind, self.name, self.quote_nanos, self.attribution.session, self.attribution.run) == (
            other.kind,
            other.name,
            other.quote_nanos,
            other.attribution.session,
            other.attribution.run,
        )
