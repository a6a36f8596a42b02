"""The quarter as a page and as JSON values."""

from __future__ import annotations

from typing import Any

from runguard_core.finops.planning import FeaturePlan
from runguard_core.finops.reviews._costs import ratio_of
from runguard_core.finops.reviews._page import Cell, Column, Grid, Page, Point, Points, Tone
from runguard_core.finops.reviews._quarter import FeatureQuarter, QuarterReview
from runguard_core.finops.reviews._weekly_document import allowed_document, nanos_text, window_document
from runguard_core.finops.reviews._words import change_cell, counted, day_month, short_name, used_cell, used_sentence
from runguard_core.money import brief_usd

_TONES: dict[str, Tone] = {"raise": "warn", "set": "warn", "lower": "good"}
RULES = (
    "budget: the feature's plan, else the tightest of its USD budgets by day, week or month, scaled to the quarter's days",
    "proposal: a month at the last month's pace is 70 % of it, the rest is for the tail; keep: today's is within 15 % of it",
    "trend: the median cost per session of each month; its change is that of the last month on the first",
)


def quarter_page(it: QuarterReview) -> Page:
    """The page."""
    sessions = sum(month.session_count for month in it.by_month)
    lead = [Point(f"{brief_usd(it.nanos)} in {counted(sessions, 'session')}{used_sentence(it.nanos, it.allowed)}.")]
    if it.planned:
        month = sum(one.nanos for one in it.planned.values())
        lead.append(Point(f"Planned features would add {brief_usd(month)} a month."))
    blocks = (
        _features(it), _trend(it),
        Points("Planned features", tuple(_planned(name, one) for name, one in it.planned.items()), "The plan names none."),
        Points("To decide", _decisions(it), "Every budget is right as it is."),
    )  # fmt: skip
    whose = f" of {it.app}" if it.app else ""
    span = f"{day_month(it.quarter.first_day)} to {day_month(it.quarter.days[-1])}"
    return Page(f"LLM spend{whose}, {it.quarter.name} ({span})", tuple(lead), blocks, RULES)


def quarter_document(it: QuarterReview) -> dict[str, Any]:
    """The review as JSON values: amounts as strings of nano-USD."""
    return {
        "kind": "quarter", "app": it.app, **window_document(it.quarter), "nanos": str(it.nanos),
        "budget": allowed_document(it.allowed), "months": [month.name for month in it.months],
        "features": [_feature(row) for row in it.features],
        "planned": [
            {"feature": name, "month_nanos": str(one.nanos), "session_nanos": nanos_text(one.session_nanos),
             "session_count": one.session_count, "estimate_nanos": nanos_text(one.estimate_nanos)}
            for name, one in it.planned.items()
        ],
    }  # fmt: skip


def _feature(row: FeatureQuarter) -> dict[str, Any]:
    first, last = _ends(row)
    return {
        "feature": row.feature, "owner": row.owner, "nanos": str(row.nanos), "budget": allowed_document(row.allowed),
        "proposed_month_nanos": str(row.proposed_nanos), "advice": row.advice, "session_change_ratio": ratio_of(last, first),
        "months": [
            {"nanos": str(one.nanos), "session_count": one.session_count, "median_nanos": nanos_text(one.median_nanos)}
            for one in row.months
        ],
    }  # fmt: skip


def _ends(row: FeatureQuarter) -> tuple[int | None, int | None]:
    """Medians of the first and the last month with sessions."""
    known = [month.median_nanos for month in row.months if month.median_nanos is not None]
    return (known[0], known[-1]) if known else (None, None)


def _features(it: QuarterReview) -> Grid:
    columns = (
        Column("feature", folds=True), Column("owner", spare=1), Column("spend", is_figure=True),
        Column("budget", is_figure=True), Column("used", is_figure=True), Column("by month", spare=2),
        Column("proposal a month", is_figure=True),
        Column("advice"),
    )  # fmt: skip
    rows = [_row(row) for row in it.features]
    by_month = tuple(month.nanos for month in it.by_month)
    rows.append((
        Cell("all"), Cell(""), Cell(brief_usd(it.nanos)), Cell(_money(it.allowed.nanos if it.allowed else None)),
        used_cell(it.nanos, it.allowed), Cell("", line=by_month),
        Cell(brief_usd(sum(row.proposed_nanos for row in it.features))), Cell(""),
    ))  # fmt: skip
    return Grid("Actual against budget", columns, tuple(rows), has_total=True)


def _row(row: FeatureQuarter) -> tuple[Cell, ...]:
    return (
        Cell(row.feature), Cell(short_name(row.owner), "" if row.owner else "warn"), Cell(brief_usd(row.nanos)),
        Cell(_money(row.allowed.nanos if row.allowed else None)), used_cell(row.nanos, row.allowed),
        Cell("", line=tuple(month.nanos for month in row.months)), Cell(brief_usd(row.proposed_nanos)),
        Cell(row.advice, _TONES.get(row.advice, "")),
    )  # fmt: skip


def _trend(it: QuarterReview) -> Grid:
    months = tuple(Column(month.name, is_figure=True) for month in it.months)
    columns = (Column("feature", folds=True), *months, Column("change", is_figure=True))
    rows = []
    for row in it.features:
        first, last = _ends(row)
        medians = [Cell(_money(month.median_nanos), note=counted(month.session_count, "session")) for month in row.months]
        rows.append((Cell(row.feature), *medians, change_cell(last or 0, first or 0)))
    return Grid("Median cost per session", columns, tuple(rows))


def _planned(name: str, one: FeaturePlan) -> Point:
    sized = one.session_nanos is not None and one.session_count is not None
    said = f"{brief_usd(one.session_nanos or 0)} a session, {counted(one.session_count or 0, 'session')} a month" if sized else ""
    return Point(f"{name}: {brief_usd(one.nanos)} a month", said)


def _decisions(it: QuarterReview) -> tuple[Point, ...]:
    said = {
        "raise": "raise its budget to {} a month, or make it cheaper", "lower": "lower its budget to {} a month",
        "set": "it has no budget: {} a month would fit",
    }  # fmt: skip
    return tuple(
        Point(f"{row.feature} ({short_name(row.owner)}): {said[row.advice].format(brief_usd(row.proposed_nanos))}")
        for row in it.features
        if row.advice in said
    )


def _money(nanos: int | None) -> str:
    return "-" if nanos is None else brief_usd(nanos)
