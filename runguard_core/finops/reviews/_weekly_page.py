"""The weekly review as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runguard_core.finops.reviews._agenda import agenda
from runguard_core.finops.reviews._avoided import RULE as AVOIDED_RULE
from runguard_core.finops.reviews._backlog import backlog_points, backlog_sentence
from runguard_core.finops.reviews._episodes import Anomaly, by_impact, cause_point
from runguard_core.finops.reviews._page import Cell, Column, Grid, Page, Point, Points, Tone
from runguard_core.finops.reviews._verdict import FLAGGED_WEEKS, Direction, Verdict
from runguard_core.finops.reviews._verdict import RULE as VERDICT_RULE
from runguard_core.finops.reviews._weekly import FeatureWeek, WeeklyReview
from runguard_core.finops.reviews._words import change_cell, counted, day_month, joined, short_name, used_cell, used_sentence
from runguard_core.money import brief_usd

MINUTES = 15
_MOST_OLDER = 3
_TONES: dict[Verdict, Tone] = {Verdict.NORMAL: "", Verdict.IMPROVING: "good", Verdict.DEGRADING: "bad"}
_ARROWS = {Direction.UP: "▲", Direction.DOWN: "▼", Direction.LEVEL: "", Direction.UNKNOWN: ""}
SPEND_RULE = (
    "spend: every paid call admitted in the week (the policy's time zone), in its feature, or its app where it names none; a "
    "session that reaches over Sunday's midnight counts in both weeks with what it cost in each"
)
OPPORTUNITY_RULE = (
    "opportunities: looked for in all calls of the week, or, of more than 10,000, in those of the 50 dearest sessions of each "
    "feature: they name what was spent there at least, at list prices in proportion to what was charged; shown is the dearest, a "
    "mistake of this week before a habit, from 1 % of the feature's week on"
)


def with_agenda(it: WeeklyReview) -> WeeklyReview:
    """The review with its agenda: five points in a fixed order, fifteen minutes together at most."""
    worse = [row.feature for row in it.features if row.verdict is Verdict.DEGRADING]
    money = [row.feature for row in it.features if row.rising_weeks >= FLAGGED_WEEKS or _is_over(row)]
    chances = [row for row in it.features if row.opportunity is not None]
    unsettled = [one for one in (*it.anomalies, *it.left_over) if not one.is_settled]
    points = [
        (2, "The week", f"{_spend_sentence(it)} {_worse_sentence(worse)}", True),
        (4, "Anomalies", _anomaly_sentence(it, unsettled), bool(it.anomalies or it.left_over)),
        (3, "Budgets and rises", _money_sentence(money), bool(money)),
        (4, "Opportunities", _chance_sentence(chances), bool(chances)),
        (2, "Actions and wins", backlog_sentence(it.backlog), not it.backlog.is_empty),
    ]
    return replace(it, agenda=agenda(points, MINUTES))


def weekly_page(it: WeeklyReview) -> Page:
    """The page."""
    lead = [Point(_spend_sentence(it)), Point(any_anomaly(it), tone="warn" if it.anomalies else "good")]
    lead += [Point(text) for text in (_stopped_sentence(it), _reserve_sentence(it), _coverage_sentence(it)) if text]
    blocks = (
        feature_grid(it.features, _sum_row(it)),
        anomalies_points(it.anomalies, it.left_over, it),
        _opportunities(it),
        backlog_points(it.backlog),
        Points(f"Agenda, {sum(point.minutes for point in it.agenda)} of {MINUTES} minutes", tuple(
            Point(f"{point.minutes} min  {point.title}", point.sentence, "" if point.minutes else "quiet") for point in it.agenda
        )),
    )  # fmt: skip
    rules = (SPEND_RULE, f"verdict: {VERDICT_RULE}", f"avoided: {AVOIDED_RULE}", OPPORTUNITY_RULE)
    whose = f" of {it.app}" if it.app else ""
    title = f"LLM spend{whose}, week {it.week.name} ({day_month(it.week.first_day)} to {day_month(it.week.days[-1])})"
    return Page(title, tuple(lead), blocks, rules)


def any_anomaly(it: WeeklyReview) -> str:
    """The answer to "any anomaly this week?"."""
    if not it.anomalies:
        more = f"; {counted(len(it.left_over), 'older one')} not settled" if it.left_over else ""
        return f"No anomaly was announced this week{more}."
    open_ = sum(not one.is_settled for one in it.anomalies)
    impact = sum(one.episode.impact_nanos for one in it.anomalies)
    many = counted(len(it.anomalies), "anomaly", "anomalies")
    settled = "all settled" if not open_ else f"{open_} not settled yet"
    return f"{many} this week, {brief_usd(impact)} above the expected, {settled}."


def _spend_sentence(it: WeeklyReview) -> str:
    calls = counted(it.total.call_count, "model call")
    change = change_cell(it.nanos, it.spend[-2]).text
    than = f", {change} on the week before ({brief_usd(it.spend[-2])})" if change else ""
    unsure = it.total.estimated_nanos + it.total.assumed_nanos
    band = f"; {brief_usd(unsure)} of it estimated" if unsure else ""
    unpriced = f"; {counted(it.total.unpriced_count, 'call')} without a price" if it.total.unpriced_count else ""
    return f"{brief_usd(it.nanos)} for {calls}{than}{used_sentence(it.nanos, it.allowed)}{band}{unpriced}."


def _worse_sentence(worse: list[str]) -> str:
    return f"Degrading: {joined(worse)}." if worse else "Nothing is degrading."


def _stopped_sentence(it: WeeklyReview) -> str:
    stopped = [one for row in it.features for one in row.stopped]
    if not stopped:
        return "The breaker stopped no session."
    nanos, most = sum(one.nanos for one in stopped), sum(one.most_nanos for one in stopped)
    alone = sum(not one.peer_count for one in stopped)
    beside = f" ({alone} without comparable sessions counted as nothing)" if alone else ""
    return (
        f"The breaker stopped {counted(len(stopped), 'session')}; that avoided about {brief_usd(nanos)}, an estimate{beside}; "
        f"at the 95th percentile {brief_usd(most)}."
    )


def _coverage_sentence(it: WeeklyReview) -> str:
    if not it.nanos:
        return ""
    shares = ", ".join(f"{one.dimension}: {one.covered_ratio:.1%}" for one in it.coverage)
    other = [f"{value} is no allowed {one.dimension}" for one in it.coverage for value, _ in one.others[:1]]
    return f"Share of spend that says its {shares}{'; ' + ', '.join(other) if other else ''}." if shares else ""


def _reserve_sentence(it: WeeklyReview) -> str:
    room = it.room
    if room is None or not room.reserve_nanos:
        return ""
    of = f"of {brief_usd(room.reserve_nanos)} kept in {room.month.name} for tails"
    return f"Reserve: {room.used_ratio:.0%} {of} was used by the week's end."


def _anomaly_sentence(it: WeeklyReview, unsettled: list[Anomaly]) -> str:
    if not it.anomalies and not it.left_over:
        return "none"
    who = joined(sorted({one.episode.feature for one in unsettled}))
    return f"{any_anomaly(it)[:-1]}" + (f": cause and owner for {who}" if unsettled else "")


def _money_sentence(names: list[str]) -> str:
    return f"{joined(names)}: over budget, or rising {FLAGGED_WEEKS} weeks or more" if names else "nothing over, nothing rising"


def _chance_sentence(rows: list[FeatureWeek]) -> str:
    if not rows:
        return "none worth a word"
    top = max(rows, key=lambda row: (row.opportunity.nanos if row.opportunity else 0, row.feature))
    said = f"{top.feature} ({top.owner or 'nobody'}): {top.opportunity.kind.value}" if top.opportunity else ""
    return f"{brief_usd(sum(row.opportunity.nanos for row in rows if row.opportunity))} a week in all; first {said}"


def _is_over(row: FeatureWeek) -> bool:
    return row.allowed is not None and row.nanos > row.allowed.nanos


def feature_grid(features: Sequence[FeatureWeek], total: tuple[Cell, ...] | None) -> Grid:
    """One row a feature, and their sum where there is one."""
    columns = (
        Column("feature", folds=True), Column("spend", is_figure=True), Column("change", is_figure=True),
        Column("8 weeks", spare=2), Column("median", is_figure=True), Column("P95", is_figure=True),
        Column("anom.", is_figure=True), Column("stopped", is_figure=True, spare=1), Column("budget", is_figure=True),
        Column("verdict"),
    )  # fmt: skip
    rows = [_row(row) for row in features] + ([total] if total is not None else [])
    note = "median, P95: cost per session" + ("; ↑n: rising for n weeks" if any(_rises(row) for row in features) else "")
    note += "; stopped: sessions, ~ what that avoided" if any(row.stopped for row in features) else ""
    return Grid(
        "Features", columns, tuple(rows), has_total=total is not None, note=f"{note}; budget: used of what the week allows"
    )


def _rises(row: FeatureWeek) -> bool:
    return row.rising_weeks >= FLAGGED_WEEKS


def _row(row: FeatureWeek) -> tuple[Cell, ...]:
    change = change_cell(row.nanos, row.nanos_before)
    rise = f" ↑{row.rising_weeks}" if _rises(row) else ""
    arrow = _ARROWS[row.went]
    tone: Tone = "bad" if row.went is Direction.UP else "good" if row.went is Direction.DOWN else ""
    stopped = f"{len(row.stopped)} ~{brief_usd(row.avoided_nanos)}" if row.stopped else ""
    return (
        Cell(row.feature, note=f"{short_name(row.owner)}, {counted(row.session_count, 'session')}"),
        Cell(brief_usd(row.nanos)), Cell(change.text + rise, "warn" if rise else change.tone), Cell("", line=row.spend),
        Cell(f"{_figure(row.median_nanos)} {arrow}".strip(), tone, note=_usual(row)), Cell(_figure(row.p95_nanos)),
        Cell(str(row.anomaly_count or ""), "bad" if row.anomaly_count else ""), Cell(stopped, note="avoided" if stopped else ""),
        used_cell(row.nanos, row.allowed), Cell(row.verdict.value, _TONES[row.verdict]),
    )  # fmt: skip


def _figure(nanos: int | None) -> str:
    return "-" if nanos is None else brief_usd(nanos)


def _usual(row: FeatureWeek) -> str:
    return f"usual {brief_usd(row.usual_median_nanos)}" if row.usual_median_nanos is not None else ""


def _sum_row(it: WeeklyReview) -> tuple[Cell, ...]:
    stopped = [one for row in it.features for one in row.stopped]
    cell = f"{len(stopped)} ~{brief_usd(sum(one.nanos for one in stopped))}" if stopped else ""
    change = change_cell(it.nanos, it.spend[-2])
    return (
        Cell("all"), Cell(brief_usd(it.nanos)), Cell(change.text), Cell("", line=it.spend), Cell(""), Cell(""),
        Cell(str(len(it.anomalies) or "")), Cell(cell), used_cell(it.nanos, it.allowed), Cell(""),
    )  # fmt: skip


def anomalies_points(anomalies: Sequence[Anomaly], older: Sequence[Anomaly], it: WeeklyReview) -> Points:
    """Anomalies of the week, the dearest first; what is older and not settled in one line."""
    owners = {row.feature: row.owner for row in it.features}
    points = [cause_point(one, owners.get(one.episode.feature)) for one in sorted(anomalies, key=by_impact)]
    if older:
        points.append(_older_point(older))
    return Points("Anomalies of the week", tuple(points), "None was announced.")


def _older_point(older: Sequence[Anomaly]) -> Point:
    """All that are older, in one line: they were on earlier pages one by one."""
    dearest = sorted(older, key=by_impact)[:_MOST_OLDER]
    nanos = sum(one.episode.impact_nanos for one in older)
    named = "; ".join(f"{one.episode.id} {one.episode.feature} {brief_usd(one.episode.impact_nanos)}" for one in dearest)
    since = f"since {day_month(older[0].day)}"
    return Point(f"{counted(len(older), 'older one')} without a cause {since}, {brief_usd(nanos)}", f"Dearest: {named}", "warn")


def _opportunities(it: WeeklyReview) -> Points:
    rows = [row for row in it.features if row.opportunity is not None]
    rows.sort(key=lambda row: (-(row.opportunity.nanos if row.opportunity else 0), row.feature))
    return Points("One opportunity a feature", tuple(map(opportunity_point, rows)), "None is worth a word.")


def opportunity_point(row: FeatureWeek) -> Point:
    """A feature's dearest opportunity, with its owner."""
    one = row.opportunity
    if one is None:
        return Point(f"{row.feature}: none worth a word")
    head = f"{row.feature}: {one.kind.value}, {brief_usd(one.nanos)} a week ({short_name(row.owner)})"
    return Point(head, f"{one.sentence}. Check: {one.check}.{_seen(row)}")


def _seen(row: FeatureWeek) -> str:
    """How much of its spend was looked at, where it was not all."""
    return f" Seen in {row.sampled_nanos / row.nanos:.0%} of its spend." if row.nanos > row.sampled_nanos else ""
