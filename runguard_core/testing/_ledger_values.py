"""Calls, holds, settlements and events with everything filled in, for tests of stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, OutcomeKind, PromptPart
from runguard_core.ids import new_id
from runguard_core.ledger import Account, CallRecord, Event, Hold, Settlement, Unit
from runguard_core.usage import Usage

T0 = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = T0 + timedelta(minutes=10)
DAY = Account("day", Unit.USD, "day", T0.replace(hour=0), T0.replace(hour=0) + timedelta(days=1))
SESSION = Account("session", Unit.USD, "session s")
TURNS = Account("turns", Unit.TURNS, "turns of s")


def a_call(call_id: str | None = None, at: datetime = T0, quote: int = 10, **who: Any) -> CallRecord:
    """A model call with everything filled in."""
    owner: dict[str, Any] = {
        "app": "app",
        "session": "s",
        "run": "r",
        "agent": "a",
        "turn": 1,
        "loop": 1,
        "tags": (("k", "v"),),
    } | who
    return CallRecord(
        id=call_id or new_id(), kind=CallKind.MODEL, name="m", attribution=Attribution(**owner), started_at=at, quote_nanos=quote,
        parts=(PromptPart("user", 3, 1, 3), PromptPart("tool:x", 4)), provider="p", max_output_tokens=9, policy_hash="h",
    )  # fmt: skip


def a_settlement(cost: int, at: datetime = T0, **more: Any) -> Settlement:
    """A post of `cost` in both USD accounts and one turn."""
    amounts = {DAY.key: cost, SESSION.key: cost, TURNS.key: 1}
    values: dict[str, Any] = {
        "usage": Usage(input_tokens=7, output_tokens=2),
        "outcome": OutcomeKind.COMPLETED,
        "amounts": amounts,
    } | more
    return Settlement(at=at, cost_nanos=cost, **values)


def holds(amount: int, limit: int | None = 100) -> list[Hold]:
    """An amount in both USD accounts, and a turn."""
    return [Hold(DAY, amount, limit, limit), Hold(SESSION, amount, limit, limit), Hold(TURNS, 1, 40, 40)]


def an_event(text: str = "hello") -> Event:
    """Something to announce."""
    return Event(id=new_id(), kind="kind", at=T0, severity="warn", message=text, app="app", session="s", facts={"a": "1"})
