"""A reconciliation on a terminal: sums, one line for each kind, payer and model, and what each kind means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from rich.console import Console

from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.finops.bills import Difference, DifferenceKind, Payer, Reconciliation, TokenClass
from runguard_core.money import format_usd

_MOST_LINES = 12


@dataclass(slots=True)
class _Row:
    """Differences of one kind, payer and model, day by day."""

    first: Difference
    days: list[date] = field(default_factory=list)
    nanos: int = 0
    tokens: Counter[TokenClass] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)

    def add(self, one: Difference) -> None:
        self.days.append(one.day)
        self.nanos += one.net_nanos
        self.tokens.update(dict(one.tokens))
        self.ids |= set(one.ids)


def print_reconciliation(console: Console, found: Reconciliation, owner: Callable[[Payer], str | None], corrected: int) -> None:
    """Print it at any width."""
    for note in found.notes:
        console.print(f"[yellow]{shown(note)}[/]", highlight=False)
    if corrected:
        console.print(f"{counted(corrected, 'call')} of the ledger corrected; what follows is what is left.")
    _print_sums(console, found)
    rows = _rows(found.differences)
    if not rows:
        console.print("[green]No difference.[/]")
        return
    columns = [
        Column("difference"), Column("days", spare=2), name("whose"), name("owner", spare=3), name("model", spare=1),
        figure("tokens"), figure("USD"),
    ]  # fmt: skip
    print_table(console, "Bill less ledger", columns, [_cells(row, owner) for row in rows])
    for row in rows[:_MOST_LINES]:
        if not row.first.is_explained:
            _print_evidence(console, row, owner)
    wrong = sum(1 for row in rows if not row.first.is_explained)
    if len(rows) > _MOST_LINES and wrong:
        console.print("... (--json has every day and its evidence)")
    left = len(found.unexplained)
    console.print(
        f"[red]{counted(left, 'difference')} to look at.[/]" if left else "[green]Every difference is explained.[/]",
        highlight=False,
    )


def _print_sums(console: Console, found: Reconciliation) -> None:
    span = f"{found.days[0]} to {found.days[-1]}" if found.days else "no day"
    console.print(f"{found.provider or 'all providers'}, {span} (UTC)", highlight=False)
    if found.usage_day_count:
        left = found.billed_tokens - found.booked_tokens
        console.print(
            f"  tokens  billed {found.billed_tokens:,}, in the ledger {found.booked_tokens:,}: {left:+,} "
            f"({counted(found.usage_day_count, 'day')})", highlight=False,
        )  # fmt: skip
    if found.cost_day_count:
        left = found.billed_nanos - found.booked_nanos
        console.print(
            f"  money   billed {format_usd(found.billed_nanos)}, in the ledger {format_usd(found.booked_nanos)}: "
            f"{signed_usd(left)} ({counted(found.cost_day_count, 'day')})", highlight=False,
        )  # fmt: skip


def _rows(differences: Sequence[Difference]) -> list[_Row]:
    """What needs somebody first, then by money."""
    rows: dict[tuple[DifferenceKind, Payer, str | None], _Row] = {}
    for one in differences:
        rows.setdefault((one.kind, one.payer, one.model), _Row(one)).add(one)
    return sorted(rows.values(), key=lambda row: (row.first.is_explained, -abs(row.nanos), row.first.kind.value))


def _cells(row: _Row, owner: Callable[[Payer], str | None]) -> tuple[str, ...]:
    one = row.first
    colour = "dim" if one.is_explained else "red"
    tokens = sum(row.tokens.values()) if one.kind not in {DifferenceKind.TOKEN_CLASS, DifferenceKind.DAY_BOUNDARY} else 0
    moved = sum(max(0, count) for count in row.tokens.values())
    shown_tokens = f"{tokens:+,}" if tokens else (f"{moved:,} moved" if moved else "")
    return (
        f"[{colour}]{one.kind.value}[/]", _days(row.days), shown(one.payer.title), shown(owner(one.payer) or ""),
        shown(one.model or ""), shown_tokens, signed_usd(row.nanos),
    )  # fmt: skip


def _days(days: Sequence[date]) -> str:
    first, last = min(days), max(days)
    if first == last:
        return f"{first:%m-%d}"
    return f"{first:%m-%d} to {last:%m-%d}, {len(set(days))} days"


def _print_evidence(console: Console, row: _Row, owner: Callable[[Payer], str | None]) -> None:
    one = row.first
    whose = owner(one.payer)
    said = shown(f"{one.kind.value}, {one.payer.title}{f', {one.model}' if one.model else ''}, {one.day:%m-%d}: {one.evidence}")
    unknown = f". Not in \\[billing]: {shown(', '.join(sorted(row.ids)))}" if row.ids else ""
    console.print(f"[red]■[/] {said}{unknown}{f' (ask {shown(whose)})' if whose else ''}", highlight=False)


def signed_usd(nanos: int) -> str:
    """An amount with its sign; nothing for nothing."""
    return "$0.00" if not nanos else f"{'+' if nanos > 0 else ''}{format_usd(nanos)}"
