"""Small ledgers for reviews: calls at their times, with whatever a test is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, OutcomeKind, PromptPart
from runguard_core.ids import new_id
from runguard_core.ledger import CallRecord, Settlement, Store
from runguard_core.usage import Usage

APP = "shop"


def model_call(
    at: datetime, nanos: int = 10**6, *, session: str = "s-1", feature: str | None = "search", model: str = "gpt-4.1",
    provider: str = "openai", usage: Usage | None = None, outcome: OutcomeKind = OutcomeKind.COMPLETED, error: str | None = None,
    parts: tuple[PromptPart, ...] = (), tools: tuple[str, ...] = (), turn: int = 1, **who: Any,
) -> CallRecord:  # fmt: skip
    """A settled model call."""
    settled = Settlement(
        at=at + timedelta(seconds=1), outcome=outcome, cost_nanos=nanos, usage=usage or Usage(input_tokens=1000, output_tokens=100),
        error=error, tool_names=tools,
    )  # fmt: skip
    owner = Attribution(app=APP, feature=feature, session=session, run=f"{session}-r", turn=turn, **who)
    return CallRecord(
        id=new_id(), kind=CallKind.MODEL, name=model, provider=provider, attribution=owner, started_at=at, quote_nanos=nanos,
        parts=parts, settlement=settled,
    )  # fmt: skip


def put(store: Store, *calls: CallRecord) -> None:
    """Reserve and post."""
    for call in calls:
        assert call.settlement is not None
        store.reserve(replace(call, settlement=None), (), expires_at=call.started_at + timedelta(minutes=5), owner="test")
        store.post(call.id, call.settlement)
