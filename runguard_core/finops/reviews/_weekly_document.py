"""The weekly review as JSON values: amounts as strings of nano-USD, times in ISO 8601."""

from __future__ import annotations

from typing import Any

from runguard_core.finops._calendar import Window
from runguard_core.finops.owners import case_json, coverage_json
from runguard_core.finops.planning import Headroom
from runguard_core.finops.reviews._avoided import Avoided
from runguard_core.finops.reviews._backlog import backlog_document
from runguard_core.finops.reviews._episodes import Anomaly
from runguard_core.finops.reviews._limits import Allowed
from runguard_core.finops.reviews._opportunity import Opportunity
from runguard_core.finops.reviews._weekly import FeatureWeek, WeeklyReview


def weekly_document(it: WeeklyReview) -> dict[str, Any]:
    """The whole review."""
    return {
        "kind": "weekly", "app": it.app, **window_document(it.week), "nanos": str(it.nanos),
        "nanos_by_week": list(map(str, it.spend)), "call_count": it.total.call_count, "tool_count": it.total.tool_count,
        "estimated_nanos": str(it.total.estimated_nanos), "assumed_nanos": str(it.total.assumed_nanos),
        "unpriced_count": it.total.unpriced_count, "budget": allowed_document(it.allowed),
        "features": [feature_document(row) for row in it.features],
        "anomalies": [anomaly_document(one) for one in it.anomalies],
        "unsettled_before": [anomaly_document(one) for one in it.left_over],
        "coverage": [coverage_json(one) for one in it.coverage], "reserve": _room(it.room), **backlog_document(it.backlog),
        "agenda": [{"minutes": one.minutes, "title": one.title, "sentence": one.sentence} for one in it.agenda],
    }  # fmt: skip


def window_document(window: Window) -> dict[str, Any]:
    """Which time it is about; the last day belongs to it."""
    return {
        "window": window.name, "start": window.start.isoformat(), "end": window.end.isoformat(),
        "first_day": f"{window.first_day}", "last_day": f"{window.days[-1]}",
    }  # fmt: skip


def anomaly_document(one: Anomaly) -> dict[str, Any]:
    """An episode with what people know of it."""
    return {**case_json(one.case), "state": one.state, "is_settled": one.is_settled}


def allowed_document(it: Allowed | None) -> dict[str, Any] | None:
    """What a budget allows."""
    return None if it is None else {"name": it.name, "nanos": str(it.nanos)}


def nanos_text(nanos: int | None) -> str | None:
    """An amount as JSON carries it."""
    return None if nanos is None else str(nanos)


def feature_document(row: FeatureWeek) -> dict[str, Any]:
    """One row."""
    return {
        "feature": row.feature, "owner": row.owner, "team": row.team, "nanos": str(row.nanos),
        "nanos_before": str(row.nanos_before), "nanos_by_week": list(map(str, row.spend)),
        "call_count": row.total.call_count, "session_count": row.session_count,
        "median_nanos": nanos_text(row.median_nanos), "p95_nanos": nanos_text(row.p95_nanos),
        "usual_median_nanos": nanos_text(row.usual_median_nanos), "direction": row.went.value, "verdict": row.verdict.value,
        "anomaly_count": row.anomaly_count, "anomaly_count_before": row.anomaly_count_before,
        "stopped": [_stopped(one) for one in row.stopped], "avoided_nanos": str(row.avoided_nanos),
        "budget": allowed_document(row.allowed), "rising_weeks": row.rising_weeks,
        "opportunities": [_opportunity(one) for one in row.opportunities], "sampled_nanos": str(row.sampled_nanos),
    }  # fmt: skip


def _room(room: Headroom | None) -> dict[str, Any] | None:
    if room is None:
        return None
    return {
        "month": room.month.name, "reserve_nanos": str(room.reserve_nanos), "used_nanos": str(room.used_nanos),
        "used_ratio": room.used_ratio,
    }  # fmt: skip


def _stopped(one: Avoided) -> dict[str, Any]:
    return {
        "session": one.session, "at": one.at.isoformat(), "rule": one.rule, "spent_nanos": str(one.spent_nanos),
        "later_nanos": str(one.later_nanos), "peer_count": one.peer_count, "avoided_nanos": str(one.nanos),
        "avoided_p95_nanos": str(one.most_nanos),
    }  # fmt: skip


def _opportunity(one: Opportunity) -> dict[str, Any]:
    return {"kind": one.kind.value, "nanos": str(one.nanos), "sentence": one.sentence, "check": one.check}
