"""`runguard shadow`: what each rule stopped or would have stopped, and whether it was right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from runguard_core.cli import _render as render
from runguard_core.cli._app import AppOption, JsonOption, PolicyOption, StoreOption, app, ledger, out, show
from runguard_core.cli._reading import SinceOption, since_of
from runguard_core.cli._text import shown
from runguard_core.ledger import CallFilter, EventFilter
from runguard_core.money import format_usd
from runguard_core.reports import Grade, Sign, grade, grade_json


@app.command("shadow")
def shadow_command(
    runs: Annotated[int, typer.Option("--runs", "-n", min=0, help="Show so many of each rule's latest runs.")] = 0,
    since: SinceOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Grade the rules: what they would have stopped, what that would have saved, and which stops were overridden.

    Watch a rule first (mode = "observe"), look here after a week, then enforce it. A rule whose stopped runs are reset and then
    finish, or whose would-be stops finish all the same, is proposed for demotion.

    Example: [bold]runguard shadow --since 7d --runs 3[/]
    """
    with ledger(store, app_name, policy) as (opened, _):
        start = since_of(since)
        events = opened.events(EventFilter(app=app_name, since=start))
        rows = grade(opened.calls(CallFilter(app=app_name, since=start)), events)
        document = {"ledger": opened.url, "rules": [grade_json(row) for row in rows]}
        show(as_json, document, lambda: print_grades(out, rows, runs))


def print_grades(console: Console, rows: Sequence[Grade], runs: int) -> None:
    """The rules as a table, their latest runs, what to do about them."""
    if not rows:
        console.print("No rule has stopped a run or would have: nothing to grade.")
        return
    table = Table(title="Rules and how they did", title_justify="left", box=None, pad_edge=False)
    table.add_column("rule", overflow="fold", ratio=1)
    for name in ("would stop", "of these finished", "would save", "stopped", "overridden", "then finished"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)
    for row in rows:
        for sign in row.signs[len(row.signs) - runs :] if runs else ():
            console.print(_line(sign), highlight=False)
    for row in rows:
        if row.proposal:
            console.print(f"[yellow]▸[/] [bold]{shown(row.rule)}[/] was {shown(row.proposal)}", highlight=False)


def _cells(row: Grade) -> tuple[str, ...]:
    watched = (f"{row.would_count}", f"{row.finished_count}", format_usd(row.saved_nanos)) if row.would_count else ("", "", "")
    if not row.stop_count:
        return (shown(row.rule), *watched, "", "", "")
    share = f"{row.override_count} ({row.override_ratio or 0:.0%})"
    return (shown(row.rule), *watched, f"{row.stop_count}", share, f"{row.vindicated_count}")


def _line(sign: Sign) -> str:
    event = sign.event
    ended = {True: "[green]finished[/]", False: "did not finish", None: "made no further call"}[sign.finished]
    way = ", overridden" if sign.overridden_by is not None else ""
    cost = f", {format_usd(sign.later_nanos)} after it" if sign.is_observed else ""
    whose = shown(event.session or event.run or "")
    return f"[red]■[/] {render.when(event.at)} {whose}: {shown(event.message)}{way}; {ended}{cost}"
