"""Actions and savings as JSON; amounts are strings of nano-USD."""

from __future__ import annotations

from datetime import date
from typing import Any

from runguard_core.finops.actions._action import Action
from runguard_core.finops.actions._claim import Claim
from runguard_core.finops.actions._interval import CONFIDENCE_RATIO
from runguard_core.finops.actions._saving import Saving, Stratum, Win


def action_json(action: Action, today: date) -> dict[str, Any]:
    """An action with its history; `is_overdue` and `check_is_due` as of a local date."""
    return {
        "id": action.id, "app": action.app, "title": action.title, "feature": action.feature, "agent": action.agent,
        "owner": action.owner, "size": action.size.value, "deadline": action.deadline.isoformat(),
        "check_on": _text(action.check_on), "checked_at": _text(action.checked_at), "state": action.state.value,
        "is_overdue": action.is_overdue(today), "check_is_due": action.check_is_due(today),
        "opened_at": action.opened_at.isoformat(), "opened_by": action.opened_by, "ended_at": _text(action.ended_at),
        "shipped_at": _text(action.shipped_at), "credit": action.credit,
        "steps": [
            {"at": step.at.isoformat(), "by": step.by, "what": step.what, "reason": step.reason} for step in action.steps
        ],
    }  # fmt: skip


def saving_json(saving: Saving) -> dict[str, Any]:
    """A saving, feature by feature, with its method."""
    spans = saving.spans
    return {
        "method": "cost per session before x sessions after - actual, by feature; Welch interval",
        "confidence_ratio": CONFIDENCE_RATIO,
        "before": [spans.before_start.isoformat(), spans.before_end.isoformat()],
        "after": [spans.after_start.isoformat(), spans.after_end.isoformat()],
        "cut_short_by": list(spans.neighbours),
        "saved_nanos": _text(saving.saved_nanos), "low_nanos": _text(saving.low_nanos), "high_nanos": _text(saving.high_nanos),
        "is_clear": saving.is_clear, "saved_ratio": saving.saved_ratio, "expected_nanos": str(saving.expected_nanos),
        "actual_nanos": str(saving.actual_nanos), "session_count": saving.session_count,
        "other_nanos": str(saving.other_nanos), "spanning_count": saving.spanning_count, "why_not": saving.why_not,
        "features": [_stratum_json(it) for it in saving.strata],
    }  # fmt: skip


def win_json(win: Win, today: date) -> dict[str, Any]:
    """A win: the action, and its saving."""
    return {"action": action_json(win.action, today), "saving": saving_json(win.saving)}


def claim_json(claim: Claim) -> dict[str, Any]:
    """The measured claim."""
    return {
        "verdict": claim.verdict, "first_nanos": str(claim.first_nanos), "latest_nanos": str(claim.latest_nanos),
        "apart_days": claim.apart_days, "saving": saving_json(claim.saving),
    }  # fmt: skip


def _stratum_json(it: Stratum) -> dict[str, Any]:
    return {
        "feature": it.feature, "before_count": it.before.count, "after_count": it.after.count,
        "before_mean_nanos": str(round(it.before.mean)), "after_mean_nanos": str(round(it.after.mean)),
    }  # fmt: skip


def _text(value: Any) -> str | None:
    """Dates and times in ISO 8601, amounts as text, None as it is."""
    if value is None:
        return None
    return str(value) if isinstance(value, int) else str(value.isoformat())
