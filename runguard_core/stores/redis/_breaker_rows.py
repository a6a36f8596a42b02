"""Latches, limits that a person set, and events as texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields as fields_of
from typing import Any

from runguard_core.ledger import Event, Latch, LatchState, LimitOverride
from runguard_core.stores.redis._rows import encode, fit, fitted, instant, loads, micros


def _dated(source: object, dates: Iterable[str]) -> dict[str, Any]:
    """A value's fields, dates as microseconds."""
    found = {field.name: fitted(getattr(source, field.name)) for field in fields_of(source)}  # type: ignore[arg-type]  # a dataclass
    return found | {name: micros(found[name]) for name in dates}


def _undated(made: type[Any], text: str, dates: Iterable[str]) -> dict[str, Any]:
    """The fields that this version knows; a newer one may have written more."""
    row = {name: value for name, value in loads(text).items() if name in made.__dataclass_fields__}
    return row | {name: instant(row[name]) for name in dates if row[name] is not None}


def scope_text(scope_kind: str, scope_id: str) -> str:
    """A latch's scope as a field's name."""
    return encode([fit(scope_kind), fit(scope_id)])


def latch_text(latch: Latch) -> str:
    """A latch."""
    return encode(_dated(latch, ("since", "until")) | {"state": latch.state.value})


def latch_of(text: str) -> Latch:
    """The way back, from "state|JSON"."""
    row = _undated(Latch, text.partition("|")[2], ("since", "until"))
    return Latch(**row | {"state": LatchState(row["state"]), "marks": tuple(row["marks"])})


def override_text(override: LimitOverride) -> str:
    """A limit that a person set."""
    return encode(_dated(override, ("since", "until")) | {"limit": str(override.limit)})


def override_of(text: str) -> LimitOverride:
    """The way back."""
    row = _undated(LimitOverride, text, ("since", "until"))
    return LimitOverride(**row | {"limit": int(row["limit"])})


def event_text(event: Event) -> str:
    """An event."""
    return encode(_dated(event, ("at",)) | {"facts": dict(event.facts)})


def event_of(text: str) -> Event:
    """The way back."""
    return Event(**_undated(Event, text, ("at",)))
