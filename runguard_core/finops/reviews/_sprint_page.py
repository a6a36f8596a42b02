"""The sprint retrospective as a page, sized for ten minutes, and as JSON values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runguard_core.finops.actions import claim_json
from runguard_core.finops.reviews._agenda import AgendaPoint, agenda
from runguard_core.finops.reviews._backlog import backlog_document, backlog_points
from runguard_core.finops.reviews._costs import Costs
from runguard_core.finops.reviews._episodes import by_impact, cause_point
from runguard_core.finops.reviews._page import Cell, Column, Grid, Page, Point, Points, Tone
from runguard_core.finops.reviews._sprint import Compared, SprintReview
from runguard_core.finops.reviews._verdict import Direction
from runguard_core.finops.reviews._weekly_document import anomaly_document, nanos_text, window_document
from runguard_core.finops.reviews._words import change_cell, counted, day_month, joined
from runguard_core.money import brief_usd

MINUTES = 10
_TONES: dict[Direction, Tone] = {Direction.UP: "bad", Direction.DOWN: "good"}
RULE = (
    "direction: up or down where the median cost per session moved by at least 10 % and beyond the 84 % intervals of both "
    "medians (a test at 5 %); an agent is what calls name so, a session of two counts under both with what it cost under each"
)
CLAIM_RULE = (
    "three months: cost per session of the latest four whole weeks against the first four, feature by feature, so that "
    "traffic does not count; teams that hold such reviews are said to spend 20 to 40 % less within three months"
)


def sprint_page(it: SprintReview) -> Page:
    """The page."""
    points = tuple(
        Point(f"{one.minutes} min  {one.title}", one.sentence, "" if one.minutes else "quiet") for one in sprint_agenda(it)
    )
    causes = tuple(cause_point(one) for one in sorted(it.anomalies, key=by_impact))
    blocks = (
        _grid("Agents: cost per session", "agent", it.agents),
        _grid("Features", "feature", it.features),
        Points("Anomalies and their causes", causes, "None was announced."),
        Points("Shipped", _shipped(it), "No new release was seen in the calls, no action was closed."),
        Points(f"Agenda, {sum(one.minutes for one in sprint_agenda(it))} of {MINUTES} minutes", points),
    )
    whose = f" of {it.app}" if it.app else ""
    span = f"{day_month(it.sprint.first_day)} to {day_month(it.sprint.days[-1])}"
    lead = (Point(spend_sentence(it)), Point(anomaly_sentence(it)), Point(claim_sentence(it)))
    return Page(f"LLM spend{whose}, {it.sprint.name} ({span})", lead, blocks, (RULE, CLAIM_RULE))


def sprint_agenda(it: SprintReview) -> tuple[AgendaPoint, ...]:
    """Four points, ten minutes at most."""
    up = [row.name or "(no agent)" for row in it.agents if row.went is Direction.UP]
    shipped = _shipped(it)
    unknown = sum(not one.case.cause for one in it.anomalies)
    points = [
        (2, "Spend", spend_sentence(it), True),
        (3, "Agents", f"dearer by the session: {joined(up)}" if up else "no agent's sessions became dearer", bool(up)),
        (3, "Causes", f"{anomaly_sentence(it)} {counted(unknown, 'cause')} to be found.", bool(it.anomalies)),
        (2, "Shipped", joined([point.head for point in shipped]) or "nothing that the ledger can see", bool(shipped)),
    ]
    return agenda(points, MINUTES)


def spend_sentence(it: SprintReview) -> str:
    """Spend of both sprints."""
    all_ = it.costs
    change = change_cell(all_.now.nanos, all_.before.nanos).text
    than = f", {change} on the sprint before ({brief_usd(all_.before.nanos)})" if change else ""
    return f"{brief_usd(all_.now.nanos)} in {counted(all_.now.session_count, 'session')}{than}."


def anomaly_sentence(it: SprintReview) -> str:
    """How many, and how many before."""
    return f"{counted(len(it.anomalies), 'anomaly', 'anomalies')}, {it.anomaly_count_before} in the sprint before."


def claim_sentence(it: SprintReview) -> str:
    """The latest weeks against the first ones."""
    return f'"20 to 40 % less within three months": {it.claim.verdict}.'


def sprint_document(it: SprintReview) -> dict[str, Any]:
    """The review as JSON values: amounts as strings of nano-USD, ratios of change (0.1 for a tenth more)."""
    all_ = it.costs
    return {
        "kind": "sprint", "app": it.app, **window_document(it.sprint), "before": window_document(it.before),
        "nanos": str(all_.now.nanos), "nanos_before": str(all_.before.nanos),
        "agents": [_compared(row, "agent") for row in it.agents], "features": [_compared(row, "feature") for row in it.features],
        "anomalies": [anomaly_document(one) for one in it.anomalies], "anomaly_count_before": it.anomaly_count_before,
        "releases": list(it.releases), **backlog_document(it.backlog), "claim": claim_json(it.claim),
        "agenda": [{"minutes": one.minutes, "title": one.title, "sentence": one.sentence} for one in sprint_agenda(it)],
    }  # fmt: skip


def _compared(row: Compared, kind: str) -> dict[str, Any]:
    return {kind: row.name, "direction": row.went.value, **_costs(row.now), "before": _costs(row.before)}


def _costs(costs: Costs) -> dict[str, Any]:
    return {
        "nanos": str(costs.nanos), "session_count": costs.session_count, "median_nanos": nanos_text(costs.median_nanos),
        "mean_nanos": nanos_text(costs.mean_nanos),
    }  # fmt: skip


def _shipped(it: SprintReview) -> tuple[Point, ...]:
    releases = [Point(f"release {name}", "first seen in this sprint") for name in it.releases]
    return (*releases, *backlog_points(replace(it.backlog, actions=())).points)


def _grid(title: str, kind: str, rows: tuple[Compared, ...]) -> Grid:
    columns = (
        Column(kind, folds=True), Column("spend", is_figure=True), Column("before", is_figure=True, spare=1),
        Column("change", is_figure=True), Column("sessions", is_figure=True, spare=2), Column("median", is_figure=True),
        Column("before", is_figure=True, spare=1), Column("mean", is_figure=True, spare=2), Column("direction"),
    )  # fmt: skip
    return Grid(title, columns, tuple(map(_row, rows)))


def _row(row: Compared) -> tuple[Cell, ...]:
    now, before = row.now, row.before
    return (
        Cell(row.name or "(no agent)"), Cell(brief_usd(now.nanos)), Cell(brief_usd(before.nanos), "quiet"),
        change_cell(now.nanos, before.nanos), Cell(f"{now.session_count:,}"), Cell(_figure(now.median_nanos)),
        Cell(_figure(before.median_nanos), "quiet"), Cell(_figure(now.mean_nanos)),
        Cell(row.went.value, _TONES.get(row.went, "")),
    )  # fmt: skip


def _figure(nanos: int | None) -> str:
    return "-" if nanos is None else brief_usd(nanos)
