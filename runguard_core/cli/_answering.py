"""Beside what was stopped: who answers for it, and what is to be done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runguard_core.cli._text import shown
from runguard_core.ledger import Event
from runguard_core.policy import Policy


def answering(events: Iterable[Event], policy: Policy) -> list[dict[str, Any]]:
    """Owner and runbook of each feature and agent that events speak of, in their order; those without either are left out."""
    found = []
    for feature, agent in dict.fromkeys((event.feature, event.agent) for event in events):
        duty = policy.registry.duty(feature, agent)
        if duty.owner or duty.runbook:
            found.append({"feature": feature, "agent": agent, "owner": duty.owner, "runbook": duty.runbook})
    return found


def answering_lines(found: Iterable[dict[str, Any]]) -> list[str]:
    """One line each, safe for a terminal."""
    lines = []
    for one in found:
        whose = ", ".join(name for name in (one["feature"], one["agent"]) if name)
        said = [f"owner {one['owner']}"] * bool(one["owner"]) + [f"runbook {one['runbook']}"] * bool(one["runbook"])
        lines.append(shown(f"{whose}: {', '.join(said)}"))
    return lines
