"""Calls of teams in a ledger, for tests of statements."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, OutcomeKind
from runguard_core.ledger import CallRecord, Settlement, Store
from runguard_core.usage import Usage


def reserved(store: Store, call_id: str, at: datetime, **who: Any) -> None:
    """A call in flight."""
    call = CallRecord(
        id=call_id, kind=CallKind.MODEL, name="m", attribution=Attribution(**({"app": "shop"} | who)), started_at=at
    )
    store.reserve(call, [], expires_at=at + timedelta(days=400), owner="test")


def posted(store: Store, call_id: str, nanos: int) -> None:
    """It ends."""
    store.post(call_id, settled(nanos))


def settled(nanos: int) -> Settlement:
    """What it cost."""
    at = datetime.fromisoformat("2026-12-31T00:00:00+00:00")
    return Settlement(
        at=at, outcome=OutcomeKind.COMPLETED, cost_nanos=nanos, usage=Usage(input_tokens=nanos % 997, output_tokens=3)
    )


def spent(store: Store, call_id: str, at: datetime, nanos: int, **who: Any) -> None:
    """A call that is over."""
    reserved(store, call_id, at, **who)
    posted(store, call_id, nanos)
