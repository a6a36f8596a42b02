"""`runguard chargeback`: statements of a period."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from runguard_core.cli._acting import person
from runguard_core.cli._app import (
    AppOption,
    Exit,
    JsonOption,
    PolicyOption,
    StoreOption,
    app,
    fail,
    ledger,
    out,
    say,
    show,
)
from runguard_core.cli._chargeback_reading import Format, put, read_period, refuse_overlap, window_of
from runguard_core.cli._chargeback_render import print_closings, print_period, print_statement
from runguard_core.finops.chargeback import (
    advice,
    closing_event,
    closing_json,
    csv_of,
    markdown_of,
    period_json,
    period_statements,
    read_closings,
    read_saving,
    reasons_to_wait,
    statement_json,
)
from runguard_core.policy import charging_rules

chargeback_app = typer.Typer(
    no_args_is_help=True, help="Show teams what they spent (showback), or take it from their budgets (chargeback)."
)
app.add_typer(chargeback_app, name="chargeback")
PeriodOption = Annotated[str | None, typer.Option("--period", help="A month, e.g. 2026-10.")]
AtOption = Annotated[str | None, typer.Option("--at", help="The month of this day, e.g. 2026-10-17; else the current one.")]


FormatOption = Annotated[Format, typer.Option("--format", help="text, markdown, csv or json.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write it to a file.")]


@chargeback_app.command("show")
def show_command(
    period: PeriodOption = None,
    at: AtOption = None,
    format_: FormatOption = Format.TEXT,
    output: OutputOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the statements of a month: as they were closed, or a preview of what would be closed now. Nothing is written.

    Example: [bold]runguard chargeback show --period 2026-10[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        window = window_of(loaded.calendar, period, at) or loaded.calendar.month(datetime.now(UTC))
        it, limits = read_period(opened, loaded, window, app_name)
        closings = read_closings(opened, app_name)
        said = advice(closings, read_saving(opened, closings))
        document = {"ledger": opened.url, **period_json(it), "advice": said}
        document["statements"] = [statement_json(row, limits.get(row.party.name)) for row in it.statements]
        put(as_json, format_, output, document, lambda: print_period(out, it, limits, said), lambda: csv_of(it, it.statements),
             lambda: "\n".join(markdown_of(it, row, limits.get(row.party.name)) for row in it.statements))  # fmt: skip


@chargeback_app.command("statement")
def statement_command(
    team: Annotated[str, typer.Argument(help='The team; "unattributed" is what no team is named for.')],
    period: PeriodOption = None,
    at: AtOption = None,
    format_: FormatOption = Format.TEXT,
    output: OutputOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one team's statement, line by line, with what remains of its budget.

    Example: [bold]runguard chargeback statement care --period 2026-10 --format markdown -o care.md[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        window = window_of(loaded.calendar, period, at) or loaded.calendar.month(datetime.now(UTC))
        it, limits = read_period(opened, loaded, window, app_name)
        row = it.of_team(team) or next((one for one in it.statements if one.party.title == team), None)
        if row is None:
            known = ", ".join(one.party.title for one in it.statements) or "nobody"
            raise fail(f"{team!r} has no statement of {window.name}; there are: {known}", Exit.FOUND_WRONG)
        limit = limits.get(team)
        document = {"ledger": opened.url, "period": window.name, "state": "open" if it.closing is None else "closed",
                    "mode": it.rules.mode.value, **statement_json(row, limit)}  # fmt: skip
        put(as_json, format_, output, document, lambda: print_statement(out, it, row, limit), lambda: csv_of(it, [row]),
             lambda: markdown_of(it, row, limit))  # fmt: skip


@chargeback_app.command("close")
def close_command(
    period: PeriodOption = None,
    force: Annotated[
        str | None,
        typer.Option(
            "--force", metavar="REASON", help="Close it although it is not over, or calls are in flight; the reason is kept."
        ),
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who closes it; else the user of this machine.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close a month, once: its statements never change again; what comes later is a correction in the next one.

    The month before the current one unless --period names another. Closed a second time it stays as it was (exit code 1).

    Example: [bold]runguard chargeback close --period 2026-10[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        now, calendar = datetime.now(UTC), loaded.calendar
        window = window_of(calendar, period, None) or calendar.before(calendar.month(now), "month")
        refuse_overlap(opened, window, app_name)
        closings = read_closings(opened, app_name)
        against = reasons_to_wait(opened, window, app_name, closings, now)
        if against and not (force or "").strip():
            raise fail(f"{'; '.join(against)}: wait, or say why not to: --force REASON", Exit.FOUND_WRONG)
        it = period_statements(opened, window, app_name, charging_rules(loaded.content, window.name), closings)
        said = closing_event(
            window, app_name, it.rules, it.statements, by=by or person(), at=now, reason=(force or "") if against else "",
            policy_hash=loaded.hash,
        )  # fmt: skip
        is_first = it.closing is None and opened.announce([said]) == 1
        closing = next(one for one in read_closings(opened, app_name) if one.period == window.name)
        document = {"is_first": is_first, "closing": closing_json(closing)}
        what = (
            f"{window.name} is closed"
            if is_first
            else f"{window.name} was closed {closing.at:%Y-%m-%d %H:%M} UTC by {closing.by}"
        )
        show(as_json, document, lambda: say(f"{what}; its statements: runguard chargeback show --period {window.name}"))
        if not is_first:
            raise typer.Exit(Exit.FOUND_WRONG)


@chargeback_app.command("list")
def list_command(
    store: StoreOption = None, app_name: AppOption = None, policy: PolicyOption = None, as_json: JsonOption = False
) -> None:
    """List the closed months: when, by whom, in which mode, by which rules.

    Example: [bold]runguard chargeback list[/]
    """
    with ledger(store, app_name, policy) as (opened, _):
        closings = read_closings(opened, app_name)
        document = {"ledger": opened.url, "closings": [closing_json(it) for it in closings]}
        show(as_json, document, lambda: print_closings(out, closings))
