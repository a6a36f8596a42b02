"""`runguard forecast`: where spend goes, compound and linear side by side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Annotated, Any, Literal

import typer

from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, errors, fail, out, show
from runguard_core.cli._forecast_render import print_forecasts, print_projected
from runguard_core.cli._plan_json import line_json, usd_or_none
from runguard_core.cli._planning import AtOption, Desk, planning
from runguard_core.finops import Window
from runguard_core.finops.planning import Forecast, forecast, outgrows, projected, whole_windows
from runguard_core.money import usd_text
from runguard_core.policy import share_of_text, usd_of

#: Fewer whole months than this are forecast by weeks.
_LEAST_MONTHS = 6


@dataclass(frozen=True, slots=True)
class Outlook:
    """A feature (None: all) with its past, both forecasts, its budget in each window to come, and when it is outgrown."""

    feature: str | None
    past: tuple[int, ...]
    found: Forecast
    limits: tuple[int, ...] | None

    def outgrown(self, kind: str, side: str = "nanos") -> int | None:
        """The place of the first window in which a kind of growth passes the budget."""
        line = getattr(self.found, kind)
        return None if self.limits is None or line is None else outgrows(line.points, self.limits, side)


@app.command("forecast")
def forecast_command(
    every: Annotated[
        Literal["week", "month"] | None, typer.Option("--every", help="Growth by week or month; default: month from six on.")
    ] = None,
    ahead: Annotated[int, typer.Option("--ahead", min=1, max=60, help="How many windows.")] = 6,
    feature: Annotated[str | None, typer.Option("--feature", help="Only this one.")] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="USD", help="With --growth: no ledger, only arithmetic.")
    ] = None,
    growth: Annotated[
        str | None, typer.Option("--growth", metavar="SHARE", help='Growth of each window, such as "30 %".')
    ] = None,
    at: AtOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forecast spend by feature from its growth, and name features that outgrow their budgets, and when.

    Both kinds of growth are shown: compound (the same per cent more each time) and linear (the same dollars more).

    Example: [bold]runguard forecast --start 800 --growth "30 %"[/]
    """
    if (start is None) is not (growth is None):
        raise fail("--start and --growth go together", Exit.USAGE)
    if start is not None and growth is not None:
        _arithmetic(start, growth, ahead, as_json=as_json)
        return
    with planning(store, app_name, policy, at) as desk:
        spend = desk.spend()
        if feature is not None and feature not in spend.features:
            raise fail(f"no calls of feature {feature!r}; known: {', '.join(spend.features) or 'none'}", Exit.FOUND_WRONG)
        months = whole_windows(spend, desk.calendar, "month")
        kind = every or ("month" if len(months) >= _LEAST_MONTHS else "week")
        windows = months if kind == "month" else whole_windows(spend, desk.calendar, kind)
        by_feature = spend.by_kind(desk.calendar, kind)
        coming = _coming(desk, kind, windows, ahead)
        named = [feature] if feature is not None else [None, *sorted(by_feature)]
        rows = [_outlook(desk, one, kind, windows, coming, by_feature) for one in named]
        document = {
            "ledger": desk.store.url, "every": kind, "as_of": desk.now.isoformat(), "known": [window.name for window in windows],
            "ahead": [window.name for window in coming], "forecasts": [_json(row, coming) for row in rows],
        }  # fmt: skip
        show(as_json, document, lambda: print_forecasts(out, kind, windows, coming, rows))


def _coming(desk: Desk, kind: str, windows: list[Window], ahead: int) -> list[Window]:
    """The windows after the last whole one; the first of them may have begun."""
    last = windows[-1].end_day if windows else desk.calendar.of_kind(kind, desk.now).first_day
    found = [desk.calendar.of_kind(kind, last)]
    while len(found) < ahead:
        found.append(desk.calendar.of_kind(kind, found[-1].end_day))
    return found


def _outlook(
    desk: Desk, feature: str | None, kind: str, windows: list[Window], coming: list[Window], known: dict[str, dict[Any, int]]
) -> Outlook:
    chosen = known.values() if feature is None else [known[feature]]
    past = tuple(sum(one.get(window.first_day, 0) for one in chosen) for window in windows)
    plan, part = desk.plan, desk.plan.features.get(feature or "")
    monthly = plan.total_nanos if feature is None else part.nanos if part is not None else None
    limits = None if monthly is None else tuple(_of_month(desk, monthly, window, kind) for window in coming)
    return Outlook(feature, past, forecast(past, len(coming)), limits)


def _of_month(desk: Desk, monthly: int, window: Window, kind: str) -> int:
    """A month's budget in a window: of a week its days' shares of their months."""
    if kind == "month":
        return monthly
    days = [len(desk.calendar.month(window.first_day + timedelta(days=number)).days) for number in range(len(window.days))]
    return int(sum((Fraction(monthly, count) for count in days), Fraction(0)))


def _json(row: Outlook, coming: list[Window]) -> dict[str, Any]:
    better = row.found.better
    when = {
        kind: {
            side: None if (place := row.outgrown(kind, of)) is None else coming[place].name
            for side, of in (("forecast", "nanos"), ("high", "high_nanos"))
        }
        for kind in ("compound", "linear")
    }
    return {
        "feature": row.feature, "past_usd": [usd_text(nanos) for nanos in row.past], "windows": row.found.count,
        "compound": line_json(row.found.compound), "linear": line_json(row.found.linear),
        "fits_better": None if better is None else better.growth.value,
        "budget_usd": None if row.limits is None else [usd_or_none(nanos) for nanos in row.limits], "outgrown": when,
    }  # fmt: skip


def _arithmetic(start: str, growth: str, ahead: int, *, as_json: bool) -> None:
    with errors():
        nanos, ratio = usd_of(start, "--start"), float(share_of_text(growth, "--growth", least=-1, most=100))
        compound, linear = projected(nanos, ratio, ahead)
        document = {
            "start_usd": usd_text(nanos), "growth_ratio": ratio, "compound_usd": [usd_text(one) for one in compound],
            "linear_usd": [usd_text(one) for one in linear],
        }  # fmt: skip
        show(as_json, document, lambda: print_projected(out, nanos, ratio, compound, linear))
