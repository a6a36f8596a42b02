"""Notices and moments that the tests of alerts share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from runguard_core.alerts import KNOWS_AGAIN, Channel, ChannelKind
from runguard_core.clock import SystemClock
from runguard_core.finops.owners import Notice, Step, Urgency

T0 = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def later(seconds: float) -> datetime:
    """So long after T0."""
    return T0 + timedelta(seconds=seconds)


def a_notice(about: str = "an-1", **more: Any) -> Notice:
    """Something that ana must hear."""
    values = {
        "about": about, "to": "ana@example.com", "level": "owner", "step": Step.TRIGGER, "urgency": Urgency.ERROR, "at": T0,
        "title": "search: a run was stopped", "text": "web_search was called 3 times with the same result.", "app": "shop",
        "feature": "search", "agent": "planner", "session": "s-1",
    }  # fmt: skip
    return Notice(**{**values, **more})  # type: ignore[arg-type]  # whatever the test says


def a_channel(url: str, kind: str = "webhook", **more: Any) -> Channel:
    """One on this machine."""
    found = ChannelKind(kind)
    values = {
        "name": "ops",
        "allow_private": True,
        "allow_http": True,
        "is_repeatable": found in KNOWS_AGAIN,
        "timeout_seconds": 5.0,
    }
    return Channel(**{**values, "kind": found, "url": url, **more})  # type: ignore[arg-type]  # whatever the test says


class Hands(SystemClock):
    """A clock that stands until it is moved; its stopwatch is the machine's."""

    def __init__(self, at: datetime = T0) -> None:
        self.at = at

    def now(self) -> datetime:  # type: ignore[override]
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
