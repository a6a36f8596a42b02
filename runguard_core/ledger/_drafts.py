"""Values that are built when somebody reads them: `CallDraft` for a `CallRecord`, `SettlementDraft` for a `Settlement`.

Most calls are written and never read again in their process. A draft holds what the guard has at hand anyway (the call as the
adapter filled it in, its owner, its outcome), and turns it into the row of the book on demand. What a store needs at once has
the same name in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from runguard_core.attribution import Attribution, in_turn
from runguard_core.calls import CallKind, Certainty, ModelCall, Outcome
from runguard_core.ledger._calls import CallRecord, Settlement
from runguard_core.usage import Usage


@dataclass(slots=True, eq=False)
class CallDraft:
    """One call at its admission; see `CallRecord`.

    Attributes:
        call: what the adapter filled in; of a tool its name only, for arguments are not kept.
        who: the owner, but for `turn` and `loop`.
        The rest: as in `CallRecord`.
    """

    id: str
    call: ModelCall | str
    who: Attribution
    turn: int | None
    loop: int | None
    started_at: datetime
    quote_nanos: int | None
    quote_is_bound: bool
    signature: str | None = None
    policy_hash: str = ""
    unverified: bool = False

    @property
    def name(self) -> str:
        """Model asked for, or tool."""
        return self.call if isinstance(self.call, str) else self.call.model

    def record(self) -> CallRecord:
        """The whole value."""
        call, who = self.call, in_turn(self.who, self.turn, self.loop)
        if isinstance(call, str):
            return CallRecord(
                id=self.id, kind=CallKind.TOOL, name=call, attribution=who, started_at=self.started_at,
                quote_nanos=self.quote_nanos, quote_is_bound=self.quote_is_bound, signature=self.signature,
                policy_hash=self.policy_hash, unverified=self.unverified,
            )  # fmt: skip
        return CallRecord(
            id=self.id, kind=CallKind.MODEL, name=call.model, attribution=who, started_at=self.started_at,
            provider=call.provider, account=call.account, key_fingerprint=call.key_fingerprint, quote_nanos=self.quote_nanos,
            quote_is_bound=self.quote_is_bound, max_output_tokens=call.max_output_tokens, parts=call.parts,
            policy_hash=self.policy_hash, unverified=self.unverified,
        )  # fmt: skip


@dataclass(slots=True, eq=False)
class SettlementDraft:
    """How a call ended; see `Settlement`.

    Attributes:
        outcome: what the adapter reported, without a tool's result.
        The rest: as in `Settlement`.
    """

    at: datetime
    outcome: Outcome
    amounts: Mapping[str, int]
    cost_nanos: int | None
    certainty: Certainty
    usage: Usage | None
    duration_seconds: float
    note: str | None = None

    def record(self) -> Settlement:
        """The whole value."""
        outcome = self.outcome
        return Settlement(
            at=self.at, outcome=outcome.kind, amounts=self.amounts, cost_nanos=self.cost_nanos, certainty=self.certainty,
            usage=self.usage, duration_seconds=self.duration_seconds, model_answered=outcome.model,
            provider_request_id=outcome.provider_request_id, error=outcome.error, error_status=outcome.error_status,
            attempt_count=outcome.attempt_count, from_cache=outcome.from_cache, tool_names=outcome.tool_names,
            result_hash=outcome.output_text_hash, result_chars=outcome.output_chars, note=self.note,
        )  # fmt: skip


CallOrDraft = CallRecord | CallDraft
SettlementOrDraft = Settlement | SettlementDraft
