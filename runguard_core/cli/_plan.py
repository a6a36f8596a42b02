"""`runguard plan`: budgets that mean something."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from runguard_core.cli import _plan_render as render
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, errors, out, show
from runguard_core.cli._plan_json import (
    allocation_json,
    headroom_json,
    limit_json,
    month_json,
    quarter_json,
    scenario_json,
)
from runguard_core.cli._planning import AtOption, Desk, planning
from runguard_core.errors import PolicyError
from runguard_core.finops import Window, session_costs
from runguard_core.finops.owners import released
from runguard_core.finops.planning import (
    LOOKBACK_DAYS,
    Headroom,
    Plan,
    Resolved,
    Spend,
    allocation,
    extra_ahead,
    headroom,
    month_rows,
    quarter_rows,
    scenarios,
    sessions_by_feature,
)
from runguard_core.money import format_usd
from runguard_core.policy import load_policy, metrics_at

plan_app = typer.Typer(
    no_args_is_help=True, help="Plan a month by feature, keep a reserve, and take limits from value and from the past."
)
app.add_typer(plan_app, name="plan")
#: Days read before a month begins, so that four whole weeks lie before any day of it.
_BEFORE = timedelta(days=LOOKBACK_DAYS + 8)


@plan_app.command("show")
def plan_show(
    quarter: Annotated[bool, typer.Option("--quarter", help="The whole quarter: actual against plan, cost per session.")] = False,
    at: AtOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the month against its plan: each feature, what is unallocated, the reserve, and limits with their arithmetic.

    Example: [bold]runguard plan show[/]
    """
    with planning(store, app_name, policy, at) as desk:
        if quarter:
            _show_quarter(desk, as_json=as_json)
            return
        month = desk.calendar.month(desk.now - timedelta(microseconds=1))
        spend = desk.spend(month.start - _BEFORE)
        costs = session_costs(desk.store, desk.app, month.start, min(desk.now, month.end))
        extra = extra_ahead(desk.policy.planned, spend, desk.calendar, desk.now, month.end)
        rows = month_rows(desk.plan, spend, sessions_by_feature(costs), desk.calendar, month, desk.now, extra)
        parts, room = allocation(desk.plan), _headroom(desk, spend, month)
        document = {
            "ledger": desk.store.url, "month": month.name, "as_of": desk.now.isoformat(),
            **allocation_json(desk.plan, parts), "headroom": headroom_json(room),
            "features": [month_json(row) for row in rows], "limits": [limit_json(one) for one in desk.limits],
        }  # fmt: skip
        show(as_json, document, lambda: render.print_month(out, desk.plan, rows, parts, room, desk.limits))


def _headroom(desk: Desk, spend: Spend, month: Window) -> Headroom:
    """The month's reserve, less what is released for planned windows."""
    planned = released(desk.policy.planned, desk.now)
    extra = extra_ahead(planned, spend, desk.calendar, desk.now, month.end)
    return headroom(desk.plan, spend, desk.calendar, month, desk.now, sum(extra.values()))


def _show_quarter(desk: Desk, *, as_json: bool) -> None:
    window = desk.calendar.quarter(desk.now - timedelta(microseconds=1))
    months = [desk.calendar.month(window.start)]
    while months[-1].end < window.end:
        months.append(desk.calendar.month(months[-1].end))
    spend = desk.spend(window.start)
    sessions = [
        sessions_by_feature(session_costs(desk.store, desk.app, month.start, min(month.end, desk.now)))
        if month.start < desk.now else {} for month in months
    ]  # fmt: skip
    rows = quarter_rows(desk.plan, spend, sessions, months)
    names = [month.name for month in months]
    document = {
        "ledger": desk.store.url, "quarter": window.name, "as_of": desk.now.isoformat(), "months": names,
        "features": [quarter_json(row) for row in rows],
    }  # fmt: skip
    show(as_json, document, lambda: render.print_quarter(out, window.name, names, rows, is_over=desk.now >= window.end))


@plan_app.command("check")
def plan_check(
    store: StoreOption = None, app_name: AppOption = None, policy: PolicyOption = None, as_json: JsonOption = False
) -> None:
    """Check that the parts fit the total and that metrics are fresh. Exit code 1 when more is given out than there is.

    Example: [bold]runguard plan check --policy runguard.toml[/]
    """
    with errors():
        loaded = load_policy(policy)
        book = metrics_at(store or loaded.content.store, app_name or loaded.rules.defaults.app)
        limits, plan = loaded.with_metrics(book, loaded.calendar.date_of(datetime.now(UTC))).limits, loaded.plan
        parts = allocation(plan)
        wrong, said = findings(plan, limits)
        document = {
            "file": loaded.file, **allocation_json(plan, parts), "limits": [limit_json(one) for one in limits],
            "errors": wrong, "notes": said,
        }  # fmt: skip
        show(as_json, document, lambda: render.print_check(out, loaded.file, plan, parts, wrong, said))
        if wrong:
            raise typer.Exit(Exit.FOUND_WRONG)


def findings(plan: Plan, limits: tuple[Resolved, ...]) -> tuple[list[str], list[str]]:
    """What is wrong with a plan, and what is worth a word."""
    parts, wrong, said = allocation(plan), [], []
    if parts.over_nanos:
        given = f"{format_usd(parts.allocated_nanos)} of {format_usd(plan.total_nanos or 0)}"
        wrong.append(f"plan.features: {given} are given out, {format_usd(parts.over_nanos)} more than there is")
    elif parts.reserve_used_nanos:
        said.append(
            f"{format_usd(parts.reserve_used_nanos)} of the reserve ({format_usd(plan.headroom_nanos)}) are planned away: "
            f"the steady state is {format_usd(plan.steady_nanos)}"
        )
    if plan.total_nanos is None:
        said.append("plan.total is not set: parts cannot be checked against a whole")
    said += [
        f"{name}: sessions x usd_per_session are {format_usd(short)} above its usd" for name, short in parts.underfunded.items()
    ]
    said += [f"{one.budget}: {one.metric} is {one.age_days} days old (known to {one.known_to})" for one in limits if one.is_stale]
    said += [f"{one.budget}: {one.how}" for one in limits if one.is_fallback]
    return wrong, said


@plan_app.command("scenarios")
def plan_scenarios(
    at: AtOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which tails the reserve carries: 10x traffic for 6 hours, 3x for a week, 2x the cost of every session.

    Example: [bold]runguard plan scenarios[/]
    """
    with planning(store, app_name, policy, at) as desk:
        if desk.plan.total_nanos is None:
            raise PolicyError(
                file=desk.policy.file or "", key="plan.total", expected='expected USD such as "5000 USD", of a month'
            )
        month = desk.calendar.month(desk.now - timedelta(microseconds=1))
        spend = desk.spend(month.start - _BEFORE)
        room = _headroom(desk, spend, month)
        found = scenarios(room, spend, desk.calendar)
        document = {
            "ledger": desk.store.url, "month": month.name, "as_of": desk.now.isoformat(), "headroom": headroom_json(room),
            "scenarios": [scenario_json(one) for one in found],
        }  # fmt: skip
        show(as_json, document, lambda: render.print_scenarios(out, desk.plan, room, found))


from runguard_core.cli import _forecast, _metrics, _plan_propose, _plan_worth  # noqa: E402, F401  more commands of the app
