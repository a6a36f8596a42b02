"""Statements as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from runguard_core.cli._tables import figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.finops.chargeback import (
    ChargeMode,
    Closing,
    LineKind,
    PartyKind,
    PeriodStatements,
    Statement,
    TeamLimit,
    basis_of,
    limit_sentences,
    title_of,
)
from runguard_core.money import format_usd


def print_period(console: Console, it: PeriodStatements, limits: Mapping[str, TeamLimit], advice: str) -> None:
    """One line a party; the sum is the ledger's, and corrections."""
    _print_head(console, it)
    if not it.statements:
        console.print("Nothing was spent.")
    else:
        left = "left" if it.rules.mode is ChargeMode.CHARGEBACK else "of budget"
        columns = [
            name("who"), figure("own features"), figure("shared", 1), figure("unattributed", 1), figure("corrections", 2),
            figure("total"), figure("budget", 3), figure(left, 3),
        ]  # fmt: skip
        cells = [_cells(row, limits.get(row.party.name) if row.party.kind is PartyKind.TEAM else None) for row in it.statements]
        sums = [_usd(sum(row.nanos_of(kind) for row in it.statements)) for kind in LineKind]
        print_table(console, "Statements", columns, [*cells, ("total", *sums, format_usd(it.nanos), "", "")], has_total=True)
        for team, limit in limits.items():
            if limit.sentence:
                console.print(f"[yellow]■[/] {shown(team)}: {shown(limit.sentence)}.", highlight=False)
    corrected = f", corrections of {', '.join(it.corrected_periods())} included" if it.corrected_periods() else ""
    console.print(
        f"The ledger's spend is {format_usd(it.spend_nanos)}; the statements add up to {format_usd(it.nanos)}{corrected}."
    )
    _print_unpriced(console, it)
    console.print(f"[bold]{shown(advice)}[/]", highlight=False)


def _print_head(console: Console, it: PeriodStatements) -> None:
    whose = shown(it.app or "all apps")
    if it.closing is None:
        console.print(
            f"[bold]{it.window.name}[/] of {whose}, {it.rules.mode.value}: [yellow]preview[/], not closed", highlight=False
        )
        return
    why = f", although: {shown(it.closing.reason)}" if it.closing.reason else ""
    console.print(
        f"[bold]{it.window.name}[/] of {whose}, {it.rules.mode.value}: closed {it.closing.at:%Y-%m-%d %H:%M} UTC by "
        f"{shown(it.closing.by)}{why}",
        highlight=False,
    )  # fmt: skip


def _cells(row: Statement, limit: TeamLimit | None) -> tuple[str, ...]:
    parts = [_usd(row.nanos_of(kind)) for kind in LineKind]
    title = shown(row.party.title)
    who = title if row.party.kind is PartyKind.TEAM else f"[dim]{title}[/]"
    if limit is None or limit.limit_nanos is None:
        return (who, *parts, format_usd(row.nanos), "", "")
    if limit.remaining_nanos is not None:
        left = format_usd(limit.remaining_nanos)
        left = f"[red]{left}[/]" if limit.remaining_nanos < 0 else left
    else:
        left = f"{row.nanos / limit.limit_nanos:.0%}" if limit.limit_nanos else ""
    return (who, *parts, format_usd(row.nanos), format_usd(limit.limit_nanos), left)


def _usd(nanos: int) -> str:
    return format_usd(nanos) if nanos else ""


def _print_unpriced(console: Console, it: PeriodStatements) -> None:
    lines = [line for row in it.statements for line in row.lines]
    unsure, unpriced = sum(line.unsure_nanos for line in lines), sum(line.unpriced_count for line in lines)
    if unsure or unpriced:
        missing = f"; {counted(unpriced, 'call')} without a price cost nothing here" if unpriced else ""
        console.print(f"[dim]{format_usd(unsure)} of it is estimated or assumed{missing}.[/]", highlight=False)


def print_statement(console: Console, it: PeriodStatements, row: Statement, limit: TeamLimit | None) -> None:
    """One line a line, then what the budgets say."""
    _print_head(console, it)
    columns = [name("line"), figure("calls", 1), figure("tokens", 2), figure("USD"), name("share")]
    cells = [
        (shown(title_of(line)), _count(line.call_count), _count(line.token_count), format_usd(line.nanos), basis_of(line))
        for line in row.lines
    ]  # fmt: skip
    print_table(console, shown(row.party.title), columns, [*cells, ("total", "", "", format_usd(row.nanos), "")], has_total=True)
    for sentence in limit_sentences(limit) if limit is not None else ():
        console.print(shown(sentence), highlight=False)


def _count(count: int) -> str:
    return f"{count:,}" if count else ""


def print_closings(console: Console, closings: Sequence[Closing]) -> None:
    """One line a closed month."""
    if not closings:
        console.print("No month is closed yet: runguard chargeback close")
        return
    columns = [name("period"), name("mode"), figure("total"), name("closed"), name("by"), name("shared"), name("unattributed", 1)]
    cells = []
    for it in closings:
        shared = ", ".join(f"{one.name} by {one.method.value}" for one in it.rules.shared) or "none"
        total = format_usd(sum(row.nanos for row in it.statements))
        cells.append((
            it.period, it.rules.mode.value, total, f"{it.at:%Y-%m-%d}", shown(it.by), shown(shared), it.rules.residual.value
        ))  # fmt: skip
    print_table(console, "Closed months", columns, cells)
