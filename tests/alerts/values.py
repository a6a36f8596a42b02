"""Notices and moments that the tests of alerts share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

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
