"""`runguard export ...`: rows of the ledger for a warehouse, and a bill in the FOCUS format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from runguard_core.calls import CallKind
from runguard_core.cli._app import AppOption, JsonOption, PolicyOption, StoreOption, app, err, errors, ledger, say, show
from runguard_core.cli._bars import told
from runguard_core.cli._export_statements import STATEMENTS, ClosedStatements
from runguard_core.cli._reading import since_of
from runguard_core.cli._text import counted, json_text
from runguard_core.errors import ExportError
from runguard_core.export import (
    CALLS,
    EVENTS,
    SESSIONS,
    TOOL_CALLS,
    Exported,
    Format,
    LedgerCalls,
    LedgerEvents,
    LedgerSessions,
    Pricing,
    Source,
    Span,
    Table,
    day_of,
    export_focus,
    export_table,
)
from runguard_core.ledger import Store
from runguard_core.money import usd_text

export_app = typer.Typer(no_args_is_help=True, help="Rows for a warehouse (CSV, JSON lines, Parquet), and a bill in FOCUS.")
app.add_typer(export_app, name="export")

#: Every table, and where its rows come from.
TABLES: Mapping[str, tuple[Table, Callable[[Store, Span], Source]]] = {
    "calls": (CALLS, lambda store, span: LedgerCalls(store, CallKind.MODEL, span)),
    "tool-calls": (TOOL_CALLS, lambda store, span: LedgerCalls(store, CallKind.TOOL, span)),
    "sessions": (SESSIONS, LedgerSessions),
    "events": (EVENTS, LedgerEvents),
    "statements": (STATEMENTS, ClosedStatements),
}

OutOption = Annotated[Path, typer.Option("--out", "-o", help="A folder; files are laid out by day in it (UTC).")]
FormatOption = Annotated[Format, typer.Option("--format", help="How files are written; parquet needs an extra.")]
SinceOption = Annotated[str | None, typer.Option("--since", help="Days from then on: 7d, or a date such as 2026-11-24 (UTC).")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Days before then: a date; the days before it, whole.")]
ColumnsOption = Annotated[str | None, typer.Option("--columns", help="Only these (and id, revision): app,feature,cost_nanos.")]


def _span(app_name: str | None, since: str | None, until: str | None) -> Span:
    """Whole days."""
    first, end = since_of(since), since_of(until)
    if end is not None and end != day_of(end):
        end += timedelta(days=1)
    return Span(app=app_name, since=day_of(first) if first else None, until=day_of(end) if end else None)


def _command(name: str) -> None:
    table, source_of = TABLES[name]

    def command(
        to: OutOption,
        format_: FormatOption = Format.CSV,
        since: SinceOption = None,
        until: UntilOption = None,
        columns: ColumnsOption = None,
        store: StoreOption = None,
        app_name: AppOption = None,
        policy: PolicyOption = None,
        as_json: JsonOption = False,
    ) -> None:
        names = [one.strip() for one in columns.split(",") if one.strip()] if columns is not None else None
        with ledger(store, app_name, policy) as (opened, _):
            span = _span(app_name, since, until)
            with told("rows", is_shown=not as_json) as tell:
                found = export_table(
                    source_of(opened, span), to, format_, ledger=opened.url, span=span, at=datetime.now(UTC), columns=names,
                    tell=tell,
                )  # fmt: skip
            show(as_json, {"ledger": opened.url, "table": name, **_json(found)}, lambda: _say(name, to, found))

    command.__doc__ = (
        f"Export {name}: a row is {table.about}. Only what is new or has changed since the last run into that folder.\n\n"
        f"Example: [bold]runguard export {name} --format parquet -o lake/{name}[/]"
    )
    export_app.command(name)(command)


for _name in TABLES:
    _command(_name)


@export_app.command("focus")
def focus_command(
    period: Annotated[str, typer.Option("--period", help="A month, such as 2026-10 (UTC).")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The file; its name ends in .csv or .parquet.")],
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Tell rows apart by more: agent, owner, release, tag:KEY; repeat it.")
    ] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a month as a bill in FOCUS 1.2: a row per day, feature, team, model and token class.

    The rows' EffectiveCost adds up to the ledger to the nano-dollar.

    Example: [bold]runguard export focus --period 2026-10 -o focus.csv[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        rules = loaded.rules
        pricing = Pricing(book=rules.prices, assumed=rules.assumed_rates, tool_nanos=rules.tool_prices_nanos)
        with told("calls", is_shown=not as_json) as tell:
            found = export_focus(opened, to, period, pricing, app=app_name, by=by or (), tell=tell)
        document = {
            "ledger": opened.url, "file": str(found.path), "row_count": found.row_count, "nanos": str(found.nanos),
            "usd": usd_text(found.nanos), "pending_count": found.pending_count,
        }  # fmt: skip
        late = f" {counted(found.pending_count, 'call')} in flight are not in it yet." if found.pending_count else ""
        rows = f"{counted(found.row_count, 'row')} for {usd_text(found.nanos)} USD"
        show(as_json, document, lambda: say(f"{rows} in {to}, equal to the ledger's {period}.{late}"))


@export_app.command("schema")
def schema_command(
    table: Annotated[str, typer.Argument(help=f"One of {', '.join(TABLES)}.")],
) -> None:
    """Print the columns of a table as JSON, with the version of its schema.

    Example: [bold]runguard export schema calls[/]
    """
    with errors():
        if table not in TABLES:
            raise ExportError(f"table {table!r}", "there is none of that name", f"there are: {', '.join(TABLES)}")
        typer.echo(json_text(TABLES[table][0].document()))


def _json(found: Exported) -> dict[str, Any]:
    return {
        "files": [str(file) for file in found.files], "row_count": found.row_count, "revision": found.revision,
        "changed_part_count": found.part_count, "unchanged_part_count": found.unchanged_count,
        "missing_count": found.missing_count,
    }  # fmt: skip


def _say(name: str, to: Path, found: Exported) -> None:
    if not found.part_count:
        say(f"Nothing is new in {name} since the last run into {to}." if found.unchanged_count else f"There are no {name} then.")
        return
    where = f"{counted(len(found.files), 'file')} under {to}"
    say(f"{counted(found.row_count, 'row')} of {name} in {where}, revision {found.revision}.")
    if found.missing_count:
        err.print(
            f"{counted(found.missing_count, 'row')} could not be written: the ledger counts them and has dropped them "
            "(see [retention] of the policy).", soft_wrap=True, markup=False,
        )  # fmt: skip
