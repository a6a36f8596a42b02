"""What the guard announces: the kinds of `Event`, and how one is made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.ids import new_id
from runguard_core.ledger import Event

CALL_REFUSED = "call_refused"
WOULD_REFUSE = "would_refuse"
RUN_TRIPPED = "run_tripped"
WOULD_TRIP = "would_trip"
LOOP_WARNING = "loop_warning"
ADVISED = "advised"
CALL_STOPPED = "call_stopped"
BUDGET_THRESHOLD = "budget_threshold"
BUDGET_OVERRUN = "budget_overrun"
CALL_ASSUMED = "call_assumed"
CALL_UNPRICED = "call_unpriced"
USAGE_MISSING = "usage_missing"
LATE_POST = "late_post"
STORE_FAILED = "store_failed"
CALL_UNVERIFIED = "call_unverified"
KILLED = "killed"
RESET = "reset"
LIMIT_CHANGED = "limit_changed"
POLICY_CHANGED = "policy_changed"
USER_FORGOTTEN = "user_forgotten"
CALLS_PRUNED = "calls_pruned"
CHILD_OPENED = "child_opened"
CHILD_CLOSED = "child_closed"
PROBE_PASSED = "probe_passed"
CLOCK_JUMPED = "clock_jumped"
ANOMALY_OPENED = "anomaly_opened"
ANOMALY_WORSE = "anomaly_worse"
ANOMALY_CLOSED = "anomaly_closed"
ANOMALY_LABELLED = "anomaly_labelled"
ANOMALY_ACKNOWLEDGED = "anomaly_acknowledged"
ANOMALY_RESOLVED = "anomaly_resolved"
ALERTS_BEGUN = "alerts_begun"
ALERT_QUEUED = "alert_queued"
ALERT_TRIED = "alert_tried"
ALERT_SENT = "alert_sent"
ALERT_FAILED = "alert_failed"
ALERT_GIVEN_UP = "alert_given_up"
ALERT_ASKED_AGAIN = "alert_asked_again"
ACTION_OPENED = "action_opened"
ACTION_CHANGED = "action_changed"
ACTION_DONE = "action_done"
ACTION_DROPPED = "action_dropped"
PERIOD_CLOSED = "period_closed"
DEMO_MADE = "demo_made"
METRIC_IMPORTED = "metric_imported"
RECONCILED = "reconciled"

NOTICE, WARN, STOP = "notice", "warn", "stop"


def event(kind: str, severity: str, message: str, who: Attribution, at: datetime, **facts: Any) -> Event:
    """An event about a call's owner; `call_id` may be among the facts. Amounts in `facts` are strings."""
    return Event(
        id=new_id(), kind=kind, at=at, severity=severity, message=message, app=who.app, session=who.session,
        run=who.run, agent=who.agent, feature=who.feature, call_id=facts.pop("call_id", None), facts=facts,
    )  # fmt: skip
