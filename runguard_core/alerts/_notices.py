"""A notice as JSON values, as the outbox keeps it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runguard_core.finops.owners import Notice, Step, Urgency

_WORDS = ("about", "to", "level", "title", "text")
_WHO = ("feature", "agent", "team", "session")


def notice_facts(notice: Notice) -> dict[str, Any]:
    """A notice as JSON values."""
    words = {key: getattr(notice, key) for key in (*_WORDS, *_WHO)}
    return {
        **words, "step": notice.step.value, "urgency": notice.urgency.value, "at": notice.at.isoformat(), "app": notice.app,
        "facts": dict(notice.facts), "notice_number": notice.number,
    }  # fmt: skip


def notice_of(facts: Mapping[str, Any]) -> Notice:
    """The way back.

    Raises:
        KeyError, ValueError, TypeError: these are no facts of a notice.
    """
    words: dict[str, Any] = {key: str(facts[key]) for key in _WORDS}
    who: dict[str, Any] = {key: facts.get(key) for key in _WHO}
    return Notice(
        step=Step(facts["step"]), urgency=Urgency(facts["urgency"]), at=datetime.fromisoformat(facts["at"]),
        app=str(facts["app"]), facts=facts.get("facts") or {}, number=int(facts.get("notice_number", 0)), **words, **who,
    )  # fmt: skip
