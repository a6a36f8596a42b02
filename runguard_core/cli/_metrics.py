"""`runguard metrics`: figures of the business that limits follow."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from runguard_core.cli._app import AppOption, JsonOption, PolicyOption, StoreOption, app, out, show
from runguard_core.cli._plan_json import limit_json
from runguard_core.cli._plan_render import print_limits
from runguard_core.cli._planning import Desk, planning
from runguard_core.cli._tables import figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.errors import PolicyError
from runguard_core.finops.planning import Covers, import_events, read_metrics, watermark
from runguard_core.policy import metrics_of

metrics_app = typer.Typer(no_args_is_help=True, help="Import revenue, active users, retention: what limits can follow.")
app.add_typer(metrics_app, name="metrics")


@metrics_app.command("import")
def metrics_import(
    file: Annotated[
        Path, typer.Argument(help='CSV or JSON with date, metric, value, and feature or covers; "-" is standard input.')
    ],
    covers: Annotated[Covers, typer.Option("--covers", help="What a row speaks of that does not say so itself.")] = Covers.DAY,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep metrics in the ledger. A row that is there already changes nothing, another value for the same days corrects it.

    Limits that follow a metric are worked out anew; a guard that runs takes them when it is made the next time.

    Example: [bold]runguard metrics import revenue.csv[/]
    """
    with planning(store, app_name, policy) as desk:
        today = desk.calendar.date_of(desk.now)
        rows = read_metrics(_text(file), str(file), desk.calendar, today, covers=covers)
        events = import_events(desk.book, rows, desk.whose, file.name, desk.now)
        new = desk.store.announce(events)
        limits = desk.policy.with_metrics(metrics_of(desk.store, desk.whose), today).limits
        document = {
            "ledger": desk.store.url, "app": desk.whose, "rows": len(rows), "new": new,
            "limits": [limit_json(one) for one in limits],
        }  # fmt: skip

        def text() -> None:
            out.print(f"{counted(len(rows), 'row')} read, {new:,} new or corrected.")
            print_limits(out, limits)

        show(as_json, document, text)


def _text(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "expected UTF-8"
        raise PolicyError(file=str(file), key="(file)", expected=f"cannot be read: {why}") from None


@metrics_app.command("list")
def metrics_list(
    store: StoreOption = None, app_name: AppOption = None, policy: PolicyOption = None, as_json: JsonOption = False
) -> None:
    """Show each metric: its last value, the last day it speaks of, and how old that is.

    Example: [bold]runguard metrics list[/]
    """
    with planning(store, app_name, policy) as desk:
        rows = [_row(desk, metric, feature) for metric, feature in desk.book.names()]

        def text() -> None:
            columns = (
                name("metric"),
                name("feature"),
                figure("rows"),
                figure("last value"),
                name("known to"),
                figure("days old"),
            )
            cells = [
                (
                    shown(row["metric"]), shown(row["feature"] or "(all)"), f"{row['rows']:,}", row["last_value"],
                    row["known_to"], f"{row['age_days']}",
                )
                for row in rows
            ]  # fmt: skip
            if rows:
                print_table(out, f"Metrics of {shown(desk.whose)}", columns, cells)
            else:
                out.print("No metrics yet: runguard metrics import FILE")

        show(as_json, {"ledger": desk.store.url, "app": desk.whose, "metrics": rows}, text)


def _row(desk: Desk, metric: str, feature: str | None) -> dict[str, Any]:
    series = [row for row in desk.book.rows.values() if row.name == metric and row.feature == feature]
    last = max(series, key=lambda row: row.day)
    known_to = watermark(series, desk.calendar) or date.min
    return {
        "metric": metric, "feature": feature, "rows": len(series), "last_value": f"{last.value:f}",
        "known_to": known_to.isoformat(), "age_days": max((desk.calendar.date_of(desk.now) - known_to).days, 0),
    }  # fmt: skip
