"""Values to rows and back: accounts, events, latches, overrides; calls have `_sqlite_calls.py`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from runguard_core.ledger import Account, AccountRow, Balance, Event, Latch, LatchState, LimitOverride, Unit
from runguard_core.stores._sqlite_packing import fit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime | None) -> int | None:
    """Microseconds since 1970, exact."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def micros_of(at: datetime) -> int:
    """Microseconds since 1970 of an instant that is there."""
    return (at - _EPOCH) // _MICROSECOND


def instant(value: int | None) -> datetime | None:
    """The way back."""
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def instant_of(value: int) -> datetime:
    """The way back for columns that are never empty."""
    return _EPOCH + timedelta(microseconds=value)


def to_json(value: Any) -> str:
    """Compact JSON; ASCII, so that no text can break the file."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str)


def storable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same values with every text fit for UTF-8 and C: what programs and providers say may hold lone surrogates and NUL."""
    return tuple([fit(value) if type(value) is str else value for value in row])


def account_of(row: Any) -> AccountRow:
    """An account from its row."""
    account = Account(row["key"], Unit(row["unit"]), row["title"], instant(row["window_start"]), instant(row["window_end"]))
    return AccountRow(account, Balance(row["posted"], row["pending"], row["assumed"], row["leased"]), row["shown_limit"])


def event_row(event: Event) -> tuple[Any, ...]:
    """The row of an event."""
    return storable((
        event.id, event.kind, micros(event.at), event.severity, event.message, event.app,
        event.session, event.run, event.agent, event.feature, event.call_id, to_json(dict(event.facts)),
    ))  # fmt: skip


def event_of(row: Any) -> Event:
    """An event from its row."""
    return Event(
        id=row["id"], kind=row["kind"], at=instant_of(row["at"]), severity=row["severity"], message=row["message"],
        app=row["app"], session=row["session"], run=row["run"], agent=row["agent"], feature=row["feature"],
        call_id=row["call_id"], facts=json.loads(row["facts"]),
    )  # fmt: skip


def latch_row(latch: Latch) -> tuple[Any, ...]:
    """The row of a latch."""
    return storable((
        latch.scope_kind, latch.scope_id, latch.state.value, latch.rule, latch.reason, micros(latch.since),
        micros(latch.until), latch.account_key, to_json(latch.marks), latch.session, latch.by,
    ))  # fmt: skip


def latch_of(row: Any) -> Latch:
    """A latch from its row."""
    return Latch(
        scope_kind=row["scope_kind"], scope_id=row["scope_id"], state=LatchState(row["state"]), rule=row["rule"],
        reason=row["reason"], since=instant_of(row["since"]), until=instant(row["until"]), account_key=row["account_key"],
        marks=tuple(json.loads(row["marks"])), session=row["session"], by=row["set_by"],
    )  # fmt: skip


def override_row(override: LimitOverride) -> tuple[Any, ...]:
    """The row of an override."""
    return storable((
        override.account_key, override.limit, override.by, override.reason, micros(override.since), micros(override.until),
    ))  # fmt: skip


def override_of(row: Any) -> LimitOverride:
    """An override from its row."""
    return LimitOverride(
        account_key=row["account_key"], limit=row["amount"], by=row["set_by"], reason=row["reason"],
        since=instant_of(row["since"]), until=instant(row["until"]),
    )  # fmt: skip
