"""A digest for each owner: their features' week on one screen."""

from __future__ import annotations

from typing import Any

from runguard_core.finops.reviews._backlog import backlog_document, backlog_points
from runguard_core.finops.reviews._episodes import Anomaly
from runguard_core.finops.reviews._page import Block, Page, Point, Points
from runguard_core.finops.reviews._weekly import FeatureWeek, WeeklyReview
from runguard_core.finops.reviews._weekly_document import anomaly_document, feature_document, window_document
from runguard_core.finops.reviews._weekly_page import anomalies_points, feature_grid, opportunity_point
from runguard_core.finops.reviews._words import change_cell, counted, day_month
from runguard_core.money import brief_usd


def owners_of(it: WeeklyReview) -> tuple[str, ...]:
    """Everybody who answers for a feature of the week, by name."""
    return tuple(sorted({row.owner for row in it.features if row.owner}))


def features_of(it: WeeklyReview, owner: str) -> tuple[FeatureWeek, ...]:
    """Their features, dearest first."""
    return tuple(row for row in it.features if row.owner == owner)


def digest_page(it: WeeklyReview, owner: str, title: str) -> Page:
    """One owner's page.

    Args:
        owner: as the rows have it. title: how they are spoken of.
    """
    rows = features_of(it, owner)
    nanos, before = sum(row.nanos for row in rows), sum(row.nanos_before for row in rows)
    change = change_cell(nanos, before).text
    than = f", {change} on the week before" if change else ""
    of = f" ({nanos / it.nanos:.0%} of all)" if it.nanos else ""
    lead = (Point(f"{counted(len(rows), 'feature')}, {brief_usd(nanos)}{of}{than}."),)
    chances = tuple(opportunity_point(row) for row in rows if row.opportunity is not None)
    blocks: list[Block] = [
        feature_grid(rows, None),
        anomalies_points(_own(it.anomalies, rows), _own(it.left_over, rows), it),
        Points("To make it cheaper", chances, "Nothing to speak of."),
        backlog_points(it.backlog.owned_by(owner)),
    ]
    span = f"{day_month(it.week.first_day)} to {day_month(it.week.days[-1])}"
    return Page(f"LLM spend of {title}, week {it.week.name} ({span})", lead, tuple(blocks))


def digest_document(it: WeeklyReview, owner: str) -> dict[str, Any]:
    """One owner's digest as JSON values."""
    rows = features_of(it, owner)
    return {
        "kind": "digest", "owner": owner, "app": it.app, **window_document(it.week),
        "nanos": str(sum(row.nanos for row in rows)), "features": [feature_document(row) for row in rows],
        "anomalies": [anomaly_document(one) for one in _own(it.anomalies, rows)],
        "unsettled_before": [anomaly_document(one) for one in _own(it.left_over, rows)],
        **backlog_document(it.backlog.owned_by(owner)),
    }  # fmt: skip


def _own(anomalies: tuple[Anomaly, ...], rows: tuple[FeatureWeek, ...]) -> tuple[Anomaly, ...]:
    names = {row.feature for row in rows}
    return tuple(one for one in anomalies if one.episode.feature in names)
