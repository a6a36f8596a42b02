"""`runguard owners`: who answers for what agents and features cost, and what nobody answers for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from runguard_core.cli._anomalies import app_of
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, ledger, out, show
from runguard_core.cli._reading import since_of
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.finops.owners import (
    AgentTokens,
    Coverage,
    OwnerFrom,
    Registry,
    Roster,
    RosterRow,
    agent_tokens,
    coverage,
    coverage_json,
    roster,
    roster_json,
    tokens_json,
)
from runguard_core.money import brief_usd

_MAX_NAMES = 6


@app.command("owners")
def owners_command(
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 where a production feature lacks owner, deputy or runbook.")
    ] = False,
    tokens: Annotated[bool, typer.Option("--tokens", help="How each agent uses tokens: prompts, cache, sessions.")] = False,
    since: Annotated[str, typer.Option("--since", help="30d, 24h, or a date such as 2026-11-24.")] = "30d",
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who answers for each feature and agent of the ledger; what nobody owns comes first.

    Owners stand in the policy (`[features.NAME]`, `[agents.NAME]`: owner, deputy, lead, executive, runbook, production),
    else in the calls, else it is the app's owner.

    Example: [bold]runguard owners --check[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        named, now = app_of(opened, loaded, app_name), datetime.now(UTC)
        start = since_of(since) or now
        found = roster(opened, named, loaded.registry, start, now)
        covered = coverage(opened, named, start, now, loaded.rules.attribution)
        used = agent_tokens(opened, named, start, now) if tokens else ()
        document: dict[str, Any] = {
            "ledger": opened.url, "app": named, "since": start.isoformat(), **roster_json(found),
            "coverage": [coverage_json(one) for one in covered],
        }  # fmt: skip
        if tokens:
            document["tokens"] = [tokens_json(row) for row in used]

        def text() -> None:
            print_roster(out, found, loaded.registry)
            print_coverage(out, covered)
            if tokens:
                print_tokens(out, used)

        show(as_json, document, text)
        if check and found.problems:
            raise typer.Exit(Exit.FOUND_WRONG)


def print_roster(console: Console, found: Roster, registry: Registry) -> None:
    """One line an agent of a feature; then what is missing."""
    if not found.rows:
        console.print("Nothing was spent, and the policy names no feature.")
        return
    columns = [
        name("feature, agent"), name("owner"), name("deputy", spare=2), name("lead", spare=3), name("executive", spare=5),
        name("team", spare=4), Column("runbook", spare=1), figure("spent"),
    ]  # fmt: skip
    cells = [_cells(row, registry) for row in found.rows]
    kept = [place for place in range(len(columns)) if any(row[place] != "-" for row in cells)]
    rows = [[row[place] for place in kept] for row in cells]
    print_table(console, "Who answers for what, nobody's first", [columns[place] for place in kept], rows)
    absent = [column.header for place, column in enumerate(columns) if place not in kept]
    if absent:
        console.print(f"[dim]nobody has: {', '.join(absent)}[/]")
    sources = {row.owner_from for row in found.rows}
    if OwnerFrom.CALLS in sources:
        console.print("* named by the calls only, not by the policy")
    if OwnerFrom.APP in sources:
        console.print("+ the app's owner: the feature itself names none")
    lost = [row for row in found.rows if row.owner_from is OwnerFrom.NOBODY and row.is_seen]
    if lost:
        nanos = sum(row.total.cost_nanos for row in lost)
        console.print(
            f"[red]■[/] {brief_usd(nanos)} of spend is nobody's: name an owner under \\[features.NAME]", highlight=False
        )
    for row in found.problems:
        whose = row.feature if row.agent is None else f"{row.feature}, {row.agent}"
        console.print(f"[red]■[/] {shown(whose)} is in production and lacks: {', '.join(row.lacks)}", highlight=False)
    for what, values in found.unknown.items():
        names = ", ".join(values[:_MAX_NAMES]) + (f" and {len(values) - _MAX_NAMES} more" if len(values) > _MAX_NAMES else "")
        console.print(f"[yellow]■[/] in the ledger, not in the policy: {what} {shown(names)}", highlight=False)


def _cells(row: RosterRow, registry: Registry) -> tuple[str, ...]:
    duty = row.duty
    mark = {OwnerFrom.CALLS: "*", OwnerFrom.APP: "+"}.get(row.owner_from, "")
    owner = f"{_title(duty.owner, registry)}{mark}" if duty.owner else "[red]nobody[/]"
    whose = row.feature if row.agent is None else f"{row.feature}, {row.agent}"
    return (
        f"{shown(whose)}{' (production)' if duty.is_production else ''}", owner, _title(duty.deputy, registry),
        _title(duty.lead, registry), _title(duty.executive, registry), shown(duty.team or "-"),
        "yes" if duty.runbook else "-", brief_usd(row.total.cost_nanos) if row.is_seen else "not seen",
    )  # fmt: skip


def _title(person: str | None, registry: Registry) -> str:
    return shown(registry.contact(person).title) if person else "-"


def print_coverage(console: Console, covered: Sequence[Coverage]) -> None:
    """A line for each dimension."""
    for one in covered:
        rest = [f"{brief_usd(one.missing_nanos)} without"] if one.missing_nanos else []
        if one.other_nanos:
            values = ", ".join(value for value, _ in one.others[:_MAX_NAMES])
            rest.append(f"{brief_usd(one.other_nanos)} with a value that is not allowed: {shown(values)}")
        said = f" ({'; '.join(rest)})" if rest else ""
        share = _share(one.covered_ratio)
        console.print(f"{share} of spend carries {shown(one.dimension)}{said}", highlight=False)


def _share(ratio: float) -> str:
    """Rounded down: what is not whole is not called whole."""
    return f"{int(ratio * 1000) / 10:.1f} %" if ratio < 1 else "100 %"


def print_tokens(console: Console, used: Sequence[AgentTokens]) -> None:
    """One line an agent."""
    columns = [
        name("feature, agent"), figure("sessions", spare=2), figure("calls", spare=3), figure("prompt"), figure("cached"),
        figure("answer"), figure("calls/session", spare=1), figure("session"), figure("P95"),
    ]  # fmt: skip
    rows = [
        (
            shown(f"{row.feature}, {row.agent}" if row.agent else row.feature), f"{row.session_count:,}", f"{row.call_count:,}",
            f"{row.prompt_tokens:,}", f"{row.cached_ratio:.0%}", f"{row.answer_tokens:,}", f"{row.session_calls:.1f}",
            f"{row.session_tokens:,}", f"{row.session_p95_tokens:,}",
        )
        for row in used
    ]  # fmt: skip
    console.print()
    print_table(console, "Tokens: of a call by the mean, of a session by median and P95", columns, rows)
    console.print(f"{counted(len(used), 'agent')}; what prompts consist of: runguard explain", highlight=False)
