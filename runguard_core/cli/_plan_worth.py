"""`runguard plan cap` and `plan worth`: cost beside what it brings."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Annotated, Any

import typer
from rich.console import Console

from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, errors, fail, out, show
from runguard_core.cli._plan import plan_app
from runguard_core.cli._plan_json import cap_json, worth_json
from runguard_core.cli._plan_render import amount
from runguard_core.cli._planning import AtOption, Desk, planning
from runguard_core.cli._tables import figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.errors import PolicyError
from runguard_core.finops import Window, session_costs
from runguard_core.finops.planning import (
    CapImpact,
    WorthRow,
    cap_impact,
    latest,
    sessions_by_feature,
    total_in,
    trade,
    worth_rows,
)
from runguard_core.ledger import CallFilter
from runguard_core.money import NANOS_PER_USD, usd_text
from runguard_core.policy import share_of_text, usd_of

_DAYS = 30
LossOption = Annotated[str, typer.Option("--loss", metavar="SHARE", help='Share of the capped users who leave, such as "15 %".')]


@plan_app.command("cap")
def plan_cap(
    loss: LossOption,
    limit: Annotated[str | None, typer.Option("--limit", metavar="USD", help="A session limit to judge.")] = None,
    feature: Annotated[str | None, typer.Option("--feature", help="Only sessions of this one.")] = None,
    each: Annotated[
        str | None,
        typer.Option("--revenue-per-user", metavar="USD", help="Of a month; default: metric revenue over active_users."),
    ] = None,
    saved: Annotated[str | None, typer.Option("--saved", metavar="USD", help="With --revenue: arithmetic, no ledger.")] = None,
    revenue: Annotated[str | None, typer.Option("--revenue", metavar="USD", help="What the capped users bring.")] = None,
    at: AtOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Weigh what a cap on sessions saves against the revenue of users who would leave over it, for the last 30 days.

    Example: [bold]runguard plan cap --saved 0.90 --revenue 180 --loss "15 %"[/]
    """
    with errors():
        share = share_of_text(loss, "--loss")
        if (saved is None) is not (revenue is None) or (saved is None) is (limit is None):
            raise fail("say either --limit, or --saved and --revenue", Exit.USAGE)
        if saved is not None and revenue is not None:
            _arithmetic(usd_of(saved, "--saved"), usd_of(revenue, "--revenue"), share, as_json=as_json)
            return
        nanos = usd_of(limit, "--limit")
    with planning(store, app_name, policy, at) as desk:
        sessions = _sessions(desk, feature)
        if feature is not None and not sessions:
            raise fail(f"no sessions of feature {feature!r} in the last {_DAYS} days", Exit.FOUND_WRONG)
        worth, how = _revenue_per_user(desk, each, feature)
        found = cap_impact(sessions, nanos, worth, share)
        document = {
            "ledger": desk.store.url, "feature": feature, "limit_usd": usd_text(nanos), "loss_ratio": float(share),
            "revenue_per_user_usd": usd_text(int(worth)), "revenue_per_user_from": how, **cap_json(found),
        }  # fmt: skip
        show(as_json, document, lambda: _print_cap(out, found, nanos, share, int(worth), how))


def _last_days(desk: Desk) -> Window:
    """The last 30 whole local days."""
    today = desk.calendar.date_of(desk.now)
    return desk.calendar.window("", today - timedelta(days=_DAYS), today)


def _sessions(desk: Desk, feature: str | None) -> list[tuple[str | None, int]]:
    """(user, nano-USD) of the sessions of the last 30 days; a session of several users counts under the first by name."""
    span = _last_days(desk)
    where = CallFilter(app=desk.app, since=span.start, until=span.end)
    totals = desk.store.totals(("app", "feature", "conversation", "user"), where)
    found: dict[tuple[str, str], tuple[str | None, int]] = {}
    for (its_app, its_feature, session, user), total in totals.items():
        if feature is not None and (its_feature or its_app) != feature:
            continue
        key = (its_app or "", session or "")
        before_user, before = found.get(key, (None, 0))
        users = [one for one in (before_user, user) if one is not None]
        found[key] = (min(users, default=None), before + total.cost_nanos)
    return [found[key] for key in sorted(found)]


def _revenue_per_user(desk: Desk, each: str | None, feature: str | None) -> tuple[Fraction, str]:
    """What a user brings in a month (nano-USD), and how that is known: of the feature where both figures are, else of all."""
    if each is not None:
        return Fraction(usd_of(each, "--revenue-per-user")), "--revenue-per-user"
    month = desk.calendar.before(desk.calendar.month(desk.now - timedelta(microseconds=1)), "month")
    for whose in dict.fromkeys((feature, None)):
        users = latest(desk.book.series(desk.book.find("active users"), whose))
        revenue = total_in(desk.book.series("revenue", whose), month, desk.calendar)
        if users is not None and revenue is not None and users[0] > 0:
            of = f" of {whose}" if whose else ""
            return revenue * NANOS_PER_USD / users[0], f"revenue{of} of {month.name} / active_users{of} as of {users[1]}"
    wanted = f"expected USD a month: the metrics have no active_users above 0, or no revenue of the whole of {month.name}"
    raise PolicyError(key="--revenue-per-user", expected=f"{wanted} (runguard metrics import)")


def _print_cap(console: Console, found: CapImpact, limit: int, share: Fraction, each: int, how: str) -> None:
    console.print(
        f"A limit of [bold]{amount(limit)}[/] caps {found.capped_count:,} of {counted(found.session_count, 'session')} "
        f"of the last {_DAYS} days, of {counted(found.user_count, 'user')}."
    )
    console.print(f"It saves {amount(found.saved_nanos)}: what these sessions cost above it.")
    console.print(
        f"Its users bring {amount(found.revenue_nanos)} a month ({amount(each)} each, {shown(how)}); "
        f"{_per_cent(share)} of them leaving loses {amount(found.lost_nanos)}."
    )
    _print_verdict(console, found.net_nanos, found.break_even)


def _print_verdict(console: Console, net: int, even: Fraction | None) -> None:
    if net >= 0:
        console.print(f"[green]The cap pays: {amount(net)} more saved than lost.[/]")
    else:
        console.print(f"[bold red]The cap costs {amount(-net)} more than it saves.[/]")
    if even is not None:
        console.print(f"It pays where less than {_per_cent(even)} of the capped users leave.")


def _per_cent(share: Fraction) -> str:
    return f"{float(share) * 100:.3g} %"


def _arithmetic(saved: int, revenue: int, share: Fraction, *, as_json: bool) -> None:
    lost, even = trade(saved, revenue, share)
    document = {
        "saved_usd": usd_text(saved), "revenue_usd": usd_text(revenue), "loss_ratio": float(share), "lost_usd": usd_text(lost),
        "net_usd": usd_text(saved - lost), "break_even_ratio": None if even is None else float(even),
    }  # fmt: skip

    def text() -> None:
        out.print(f"{_per_cent(share)} of {amount(revenue)} is {amount(lost)} lost, to save {amount(saved)}.")
        _print_verdict(out, saved - lost, even)

    show(as_json, document, text)


@plan_app.command("worth")
def plan_worth(
    metric: Annotated[str, typer.Option("--metric", help="A metric by feature: active_users, retention, ...")] = "active_users",
    at: AtOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put each feature's cost of the last 30 days beside a figure of its use: what to keep, what to cut or mend.

    Example: [bold]runguard plan worth --metric retention[/]
    """
    with planning(store, app_name, policy, at) as desk:
        span = _last_days(desk)
        rows, name_ = _worth(desk, metric, span), desk.book.find(metric)
        ratios = _cost_to_revenue(desk, {row.feature: row.nanos for row in rows}, span)
        document = {
            "ledger": desk.store.url, "metric": name_, "days": _DAYS,
            "features": [worth_json(row) | {"cost_to_revenue_ratio": ratios.get(row.feature)} for row in rows],
        }  # fmt: skip
        show(as_json, document, lambda: _print_worth(out, name_, rows, ratios))


def _worth(desk: Desk, metric: str, span: Window) -> list[WorthRow]:
    sessions = sessions_by_feature(session_costs(desk.store, desk.app, span.start, span.end))
    costs = {feature: (one.nanos, one.count) for feature, one in sorted(sessions.items())}
    name_ = desk.book.find(metric)
    known = {feature: latest([row for row in desk.book.series(name_, feature) if row.feature == feature]) for feature in costs}
    return worth_rows(costs, {feature: found[0] for feature, found in known.items() if found is not None})


def _cost_to_revenue(desk: Desk, costs: dict[str, int], span: Window) -> dict[str, float]:
    """Cost over revenue of the same days, where every one of them is known and they brought something."""
    found: dict[str, Any] = {feature: total_in(desk.book.series("revenue", feature), span, desk.calendar) for feature in costs}
    return {
        feature: round(float(Fraction(costs[feature], NANOS_PER_USD) / revenue), 6)
        for feature, revenue in found.items()
        if revenue is not None and revenue > 0
    }


def _print_worth(console: Console, metric: str, rows: list[WorthRow], ratios: dict[str, float]) -> None:
    if not rows:
        console.print(f"No calls in the last {_DAYS} days.")
        return
    columns = [
        name("feature"), figure("spent"), figure("sessions", spare=1), figure(shown(metric)), figure("USD for one"),
        name("verdict"),
    ]  # fmt: skip
    if ratios:
        columns.insert(5, figure("of revenue"))
    colours = {"cut or mend": "red", "keep, make cheaper": "yellow", "keep": "green", "leave": "dim", "": "dim"}
    cells = []
    for row in rows:
        cell = [
            shown(row.feature), amount(row.nanos), f"{row.session_count:,}",
            "-" if row.metric is None else f"{float(row.metric):,.6g}", amount(row.each_nanos),
            f"[{colours[row.verdict]}]{row.verdict or 'nothing to compare with'}[/]",
        ]  # fmt: skip
        if ratios:
            cell.insert(5, f"{ratios[row.feature]:.1%}" if row.feature in ratios else "-")
        cells.append(cell)
    print_table(console, f"Cost of {_DAYS} days beside {shown(metric)}", columns, cells)
    console.print("[dim]dear: above the median cost; used: not below the median figure; dear and not used: cut or mend[/]")
