"""Plans as JSON values; amounts are USD as text."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from runguard_core.finops.planning import (
    Allocation,
    CapImpact,
    Headroom,
    Line,
    MonthRow,
    Plan,
    QuarterRow,
    Resolved,
    Scenario,
    Sessions,
    WorthRow,
)
from runguard_core.ledger import Unit
from runguard_core.money import usd_text


def usd_or_none(nanos: int | None) -> str | None:
    """USD as text; None stays."""
    return None if nanos is None else usd_text(nanos)


def allocation_json(plan: Plan, parts: Allocation) -> dict[str, Any]:
    """The plan and how its parts add up."""
    return {
        "total_usd": usd_or_none(plan.total_nanos), "reserve_ratio": float(plan.reserve),
        "steady_usd": usd_text(plan.steady_nanos), "allocated_usd": usd_text(parts.allocated_nanos),
        "unallocated_usd": usd_text(parts.unallocated_nanos), "over_usd": usd_text(parts.over_nanos),
        "planned_into_reserve_usd": usd_text(parts.reserve_used_nanos),
        "underfunded_usd": {name: usd_text(nanos) for name, nanos in parts.underfunded.items()},
    }  # fmt: skip


def headroom_json(room: Headroom) -> dict[str, Any]:
    """The reserve of the month."""
    return {
        "spent_usd": usd_text(room.spent_nanos), "steady_pace_usd": usd_text(room.pace_nanos),
        "reserve_usd": usd_text(room.reserve_nanos), "used_usd": usd_text(room.used_nanos),
        "released_usd": usd_text(room.released_nanos),
        "left_usd": usd_text(room.left_nanos), "used_ratio": round(room.used_ratio, 6),
        "run_rate_usd": usd_or_none(room.run_rate_nanos),
    }  # fmt: skip


def scenario_json(one: Scenario) -> dict[str, Any]:
    """A tail."""
    return {
        "scenario": one.name, "rule": one.rule, "extra_usd": usd_or_none(one.extra_nanos), "fits_whole_reserve": one.fits_whole,
        "fits_now": one.fits_now, "lasts_ratio": None if one.lasts_ratio is None else round(one.lasts_ratio, 6),
    }  # fmt: skip


def month_json(row: MonthRow) -> dict[str, Any]:
    """A feature of a month."""
    planned = row.planned
    return {
        "feature": row.feature, "planned_usd": None if planned is None else usd_text(planned.nanos),
        "estimate_usd": None if planned is None else usd_or_none(planned.estimate_nanos),
        "planned_sessions": None if planned is None else planned.session_count,
        "planned_usd_per_session": None if planned is None else usd_or_none(planned.session_nanos),
        "spent_usd": usd_text(row.spent_nanos), "expected_usd": usd_or_none(row.expected_nanos), "is_over": row.is_over,
        "tracks_over": row.tracks_over, **_sessions_json(row.sessions),
    }  # fmt: skip


def quarter_json(row: QuarterRow) -> dict[str, Any]:
    """A feature of a quarter."""
    return {
        "feature": row.feature, "planned_usd": usd_or_none(row.planned_nanos), "spent_usd": usd_text(sum(row.spent_nanos)),
        "by_month": [
            {"spent_usd": usd_text(nanos), **_sessions_json(one)}
            for nanos, one in zip(row.spent_nanos, row.sessions, strict=True)
        ],
        "cost_per_session_trend_ratio": None if row.trend_ratio is None else round(row.trend_ratio, 6),
    }  # fmt: skip


def _sessions_json(one: Sessions) -> dict[str, Any]:
    return {"sessions": one.count, "usd_per_session": usd_or_none(one.mean_nanos)}


def limit_json(one: Resolved) -> dict[str, Any]:
    """A limit that follows something; USD as text, other units as numbers."""
    amount = usd_text(one.limit.amount) if one.limit.unit is Unit.USD else one.limit.amount
    return {
        "budget": one.budget, "written": one.text, "limit": amount, "unit": one.limit.unit.value, "how": one.how,
        "metric": one.metric, "known_to": None if one.known_to is None else one.known_to.isoformat(), "age_days": one.age_days,
        "is_stale": one.is_stale, "is_fallback": one.is_fallback,
    }  # fmt: skip


def line_json(line: Line | None) -> dict[str, Any] | None:
    """One kind of growth."""
    if line is None:
        return None
    return {
        "growth": line.growth.value, "step_ratio": None if line.step_ratio is None else round(line.step_ratio, 6),
        "step_usd": usd_or_none(line.step_nanos), "points": [
            {"usd": usd_text(point.nanos), "low_usd": usd_or_none(point.low_nanos), "high_usd": usd_or_none(point.high_nanos)}
            for point in line.points
        ],
    }  # fmt: skip


def cap_json(found: CapImpact) -> dict[str, Any]:
    """A cap as a trade."""
    return {
        "sessions": found.session_count, "capped_sessions": found.capped_count, "capped_users": found.user_count,
        "saved_usd": usd_text(found.saved_nanos), "revenue_of_capped_usd": usd_text(found.revenue_nanos),
        "lost_usd": usd_text(found.lost_nanos), "net_usd": usd_text(found.net_nanos),
        "break_even_ratio": _ratio(found.break_even),
    }  # fmt: skip


def worth_json(row: WorthRow) -> dict[str, Any]:
    """A feature beside its metric."""
    return {
        "feature": row.feature, "spent_usd": usd_text(row.nanos), "sessions": row.session_count, "metric": _ratio(row.metric),
        "usd_per_metric": usd_or_none(row.each_nanos), "verdict": row.verdict,
    }  # fmt: skip


def _ratio(value: Fraction | None) -> float | None:
    return None if value is None else round(float(value), 9)
