"""Plans as tables for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from runguard_core.cli._render import bar
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import shown
from runguard_core.finops.planning import Allocation, Headroom, MonthRow, Plan, QuarterRow, Resolved, Scenario
from runguard_core.money import format_usd

_BAR = 10


def amount(nanos: int | None) -> str:
    """Dollars and cents where there are dollars; "-" where nothing is known."""
    if nanos is None:
        return "-"
    return f"${nanos / 1e9:,.2f}" if abs(nanos) >= 10**9 else format_usd(nanos)


def share_bar(ratio: float, *, over: bool = False) -> str:
    """A share as a bar and a number; red above the whole."""
    colour = "red" if over or ratio > 1 else "yellow" if ratio > 0.85 else "green"
    return f"[{colour}]{bar(ratio, _BAR)}[/] {ratio:4.0%}"


def print_month(
    console: Console, plan: Plan, rows: Sequence[MonthRow], parts: Allocation, room: Headroom, limits: Sequence[Resolved]
) -> None:
    """The month, the sums, the reserve, the limits."""
    if rows:
        columns = (
            name("feature"), figure("planned"), figure("spent"), Column("of its plan"), figure("at the end"),
            figure("sessions", spare=2), figure("USD/session", spare=1),
        )  # fmt: skip
        cells = [*(_month_cells(row) for row in rows), _sum_cells(plan, rows, parts)]
        print_table(console, f"{room.month.name} by feature", columns, cells, has_total=True)
        console.print("[dim]at the end: the days left at the mean of the last 28 whole days[/]")
        _print_estimates(console, rows)
    else:
        console.print("No plan and no calls yet.")
    console.print()
    for line in plan_lines(plan, parts):
        console.print(line)
    if plan.total_nanos is not None:
        for line in headroom_lines(plan, room):
            console.print(line)
    print_limits(console, limits)


def _month_cells(row: MonthRow) -> tuple[str, ...]:
    planned = row.planned.nanos if row.planned is not None else None
    ratio = "" if planned is None else share_bar(row.spent_nanos / planned if planned else float(row.spent_nanos > 0))
    expected = amount(row.expected_nanos)
    return (
        shown(row.feature), "[dim]not planned[/]" if planned is None else amount(planned), amount(row.spent_nanos), ratio,
        f"[red]{expected}[/]" if row.tracks_over else expected, f"{row.sessions.count:,}", amount(row.sessions.mean_nanos),
    )  # fmt: skip


def _sum_cells(plan: Plan, rows: Sequence[MonthRow], parts: Allocation) -> tuple[str, ...]:
    """All features; of the plan's total where it has one."""
    spent, expected = sum(row.spent_nanos for row in rows), [row.expected_nanos for row in rows if row.expected_nanos is not None]
    whole = plan.total_nanos or parts.allocated_nanos
    return (
        "all", amount(parts.allocated_nanos), amount(spent), share_bar(spent / whole) if whole else "",
        amount(sum(expected)) if expected else "-", f"{sum(row.sessions.count for row in rows):,}", "",
    )  # fmt: skip


def _print_estimates(console: Console, rows: Sequence[MonthRow]) -> None:
    """Sessions and their cost as planned, beside what they are."""
    cells = [
        (
            shown(row.feature), f"{row.planned.session_count:,}", f"{row.sessions.count:,}", amount(row.planned.session_nanos),
            amount(row.sessions.mean_nanos), amount(row.planned.estimate_nanos), amount(row.spent_nanos),
        )
        for row in rows
        if row.planned is not None and row.planned.session_count is not None
    ]  # fmt: skip
    if cells:
        columns = (
            name("estimated"), figure("sessions"), figure("so far"), figure("USD/session"), figure("so far"), figure("estimate"),
            figure("so far"),
        )  # fmt: skip
        console.print()
        print_table(console, "Planned by sessions x cost of one", columns, cells)


def plan_lines(plan: Plan, parts: Allocation) -> list[str]:
    """How the parts add up."""
    given = amount(parts.allocated_nanos)
    if plan.total_nanos is None:
        return [f"{given} a month are planned for features; plan.total is not set."]
    head = f"[bold]{given} of {amount(plan.total_nanos)}[/] a month are given to features"
    if parts.over_nanos:
        return [f"{head}: [bold red]{amount(parts.over_nanos)} more than there is[/]."]
    lines = [f"{head}, {amount(parts.unallocated_nanos)} are unallocated."]
    if parts.reserve_used_nanos:
        lines.append(f"[yellow]{amount(parts.reserve_used_nanos)} of the reserve are planned away.[/]")
    return lines


def headroom_lines(plan: Plan, room: Headroom) -> list[str]:
    """How the reserve stands."""
    rate = "" if room.run_rate_nanos is None else f"; a month at the mean of the last four weeks is {amount(room.run_rate_nanos)}"
    steady = f"Steady state {amount(plan.steady_nanos)} ({float(1 - plan.reserve):.0%} of the total)"
    planned = f"{amount(room.released_nanos)} released for planned windows, " if room.released_nanos else ""
    used = f"Reserve {amount(room.reserve_nanos)}: used {share_bar(room.used_ratio)}, {planned}{amount(room.left_nanos)} left"
    return [f"{steady}: {amount(room.spent_nanos)} spent, {amount(room.pace_nanos)} at a steady pace{rate}.", f"{used}."]


def print_limits(console: Console, limits: Sequence[Resolved]) -> None:
    """Limits that follow, with their arithmetic; what is stale or not known."""
    if not limits:
        return
    console.print()
    console.print("[italic]Limits that follow[/]")
    for one in limits:
        console.print(f"{shown(one.budget)}: [bold]{one.limit}[/]  [dim]{shown(one.text)}[/]")
        colour = "yellow" if one.is_fallback else "default"
        console.print(f"  [{colour}]{shown(one.how)}[/]")
        if one.is_stale:
            console.print(f"  [yellow]stale: {shown(str(one.metric))} is known to {one.known_to}, {one.age_days} days ago[/]")


def print_check(
    console: Console, file: str | None, plan: Plan, parts: Allocation, wrong: Sequence[str], said: Sequence[str]
) -> None:
    """The verdict on a plan."""
    for line in plan_lines(plan, parts):
        console.print(line)
    for text in wrong:
        console.print(f"[bold red]wrong:[/] {shown(text)}")
    for text in said:
        console.print(f"[yellow]note:[/] {shown(text)}")
    if not wrong:
        console.print(f"{shown(file or 'no policy file')}: the parts fit the whole.", soft_wrap=True)


def print_scenarios(console: Console, plan: Plan, room: Headroom, found: Sequence[Scenario]) -> None:
    """Tails against the reserve."""
    columns = (name("tail"), figure("costs"), Column("of the reserve"), name("fits an untouched one"), name("fits now"))
    cells = []
    for one in found:
        if one.extra_nanos is None:
            cells.append((shown(one.name), "-", "", "not known: the ledger is too young", ""))
            continue
        ratio = one.extra_nanos / room.reserve_nanos if room.reserve_nanos else float(one.extra_nanos > 0)
        part = "" if one.fits_now else f"no: {one.lasts_ratio or 0:.0%} of it" if room.left_nanos else "no"
        cells.append((
            shown(one.name), amount(one.extra_nanos), share_bar(ratio), "[green]yes[/]" if one.fits_whole else "[red]no[/]",
            "[green]yes[/]" if one.fits_now else f"[red]{part}[/]",
        ))  # fmt: skip
    print_table(console, f"{room.month.name}: what the reserve would carry", columns, cells)
    for one in found:
        console.print(f"[dim]{shown(one.name)}: {shown(one.rule)}[/]")
    console.print()
    for line in headroom_lines(plan, room):
        console.print(line)


def print_quarter(console: Console, title: str, months: Sequence[str], rows: Sequence[QuarterRow], *, is_over: bool) -> None:
    """A quarter for recalibration."""
    if not rows:
        console.print("No plan and no calls yet.")
        return
    per_month = [figure(f"USD/s {month[5:]}", spare=1) for month in months]
    columns = (name("feature"), figure("planned"), figure("spent"), Column("of its plan"), *per_month, figure("trend"))
    cells = []
    for row in rows:
        planned, spent = row.planned_nanos, sum(row.spent_nanos)
        ratio = "" if planned is None else share_bar(spent / planned if planned else float(spent > 0))
        trend = "-" if row.trend_ratio is None else f"{row.trend_ratio:+.0%}"
        colour = "red" if (row.trend_ratio or 0) > 0.1 else "green" if (row.trend_ratio or 0) < -0.1 else "default"
        cells.append((
            shown(row.feature), "[dim]not planned[/]" if planned is None else amount(planned), amount(spent), ratio,
            *(amount(one.mean_nanos) for one in row.sessions), f"[{colour}]{trend}[/]",
        ))  # fmt: skip
    print_table(console, f"{title}{'' if is_over else ' so far'}: plan and actual", columns, cells)
    console.print("[dim]USD/s: cost per session by month; trend: the last against the first[/]")
