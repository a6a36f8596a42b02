"""Reports as tables and bars for a terminal of 80 columns and more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from runguard_core.budgets import in_units
from runguard_core.calls import Certainty
from runguard_core.cli._text import shown
from runguard_core.ledger import AccountRow, CallRecord, Event, Latch, Unit
from runguard_core.money import format_usd
from runguard_core.reports import Explained, RunExplained, SessionRow, Spend, Turn

_BAR = 16


def bar(share: float, width: int = _BAR) -> str:
    """A bar of a share between 0 and 1."""
    full = round(max(0.0, min(1.0, share)) * width)
    return "█" * full + "░" * (width - full)


def when(at: datetime) -> str:
    """Local time, to the second."""
    return f"{at.astimezone():%m-%d %H:%M:%S}"


def certainty_note(row: Spend) -> str:
    """How sure a sum is."""
    parts = []
    if row.estimated_nanos:
        parts.append(f"{format_usd(row.estimated_nanos)} estimated")
    if row.assumed_nanos:
        parts.append(f"{format_usd(row.assumed_nanos)} assumed")
    if row.unpriced_count:
        parts.append(f"{row.unpriced_count} unpriced")
    if row.pending_nanos:
        parts.append(f"{format_usd(row.pending_nanos)} pending")
    return ", ".join(parts) or "exact"


def print_spending(console: Console, rows: Sequence[Spend], by: str, whole: Spend) -> None:
    """Spend by a dimension, with bars."""
    table = Table(title=f"Spend by {by}", title_justify="left", box=None, pad_edge=False)
    table.add_column(by, overflow="fold", ratio=1)
    for name in ("USD", "share", "calls", "tools", "tokens in", "out"):
        table.add_column(name, justify="left" if name == "share" else "right", no_wrap=True)
    table.add_column("certainty", overflow="fold")
    for row in (*rows, whole):
        if row is whole:
            table.add_section()
        share = row.nanos / whole.nanos if whole.nanos else 0.0
        table.add_row(
            shown(row.key), format_usd(row.nanos), bar(share, 10), str(row.call_count), str(row.tool_count),
            f"{row.usage.input_tokens:,}", f"{row.usage.output_tokens:,}", certainty_note(row),
        )  # fmt: skip
    console.print(table)


def print_sessions(console: Console, rows: Sequence[SessionRow]) -> None:
    """Sessions, the newest first."""
    table = Table(title="Sessions, newest first", title_justify="left", box=None, pad_edge=False)
    table.add_column("session", overflow="fold", ratio=1)
    for name in ("last call", "USD", "turns", "tools", "state"):
        table.add_column(name, justify="right" if name in {"USD", "turns", "tools"} else "left", no_wrap=True)
    has_tails = any(row.dead_tail_nanos for row in rows)
    if has_tails:
        table.add_column("dead tail", justify="right", no_wrap=True)
    table.add_column("agents", overflow="fold")
    for row in rows:
        colour = {"stopped": "red", "running": "green"}.get(row.state, "default")
        tail = (format_usd(row.dead_tail_nanos) if row.dead_tail_nanos else "",) if has_tails else ()
        table.add_row(
            shown(row.id), when(row.last_at), format_usd(row.spend.nanos), str(row.turn_count),
            str(row.spend.tool_count), f"[{colour}]{row.state}[/]", *tail, shown(", ".join(sorted(row.agents))),
        )  # fmt: skip
    console.print(table)


def print_explained(console: Console, found: Explained) -> None:
    """A waterfall of runs, tool loops and turns; then where each dollar went; then what stopped it."""
    spend = found.spend
    console.print(
        f"Session [bold]{shown(found.session)}[/]: {format_usd(spend.nanos)} ({certainty_note(spend)}), "
        f"{spend.call_count} model calls, {spend.tool_count} tool calls, {spend.usage.input_tokens:,} tokens in, "
        f"{spend.usage.output_tokens:,} out",
        highlight=False,
    )
    most = max((turn.nanos for run in found.runs for turn in run.turns), default=0)
    for run in found.runs:
        console.print(_run_tree(run, most), highlight=False)
    _print_origins(console, found)
    for event in found.stops:
        console.print(f"[red]■[/] {when(event.at)} [bold]{event.kind}[/]: {shown(event.message)}", highlight=False)


def dead_tail_note(nanos: int, of_nanos: int) -> str:
    """How much was spent after the last new tool result, as the end of a sentence; empty without any."""
    share = f" ({nanos / of_nanos:.0%})" if of_nanos else ""
    return f", [yellow]dead tail {format_usd(nanos)}{share}[/] after its last new tool result" if nanos else ""


def _run_tree(run: RunExplained, most: int) -> Tree:
    tail = dead_tail_note(run.dead_tail_nanos or 0, run.nanos)
    tree = Tree(f"run {shown(run.id)}  {format_usd(run.nanos)}{tail}", guide_style="dim")
    loops = {(agent, loop): (count, nanos) for agent, loop, count, nanos in run.loops()}
    current: tuple[str | None, int] | None = None
    branch = tree
    for turn in run.turns:
        key = (turn.agent, turn.loop)
        if key != current:
            count, nanos = loops[key]
            who = shown(turn.agent or "agent")
            branch = tree.add(f"[cyan]{who}[/], tool loop {turn.loop}: {count} turns, {format_usd(nanos)}")
            current = key
        _add_turn(branch, turn, most)
    return tree


def _add_turn(branch: Tree, turn: Turn, most: int) -> None:
    share = turn.nanos / most if most else 0.0
    models = "; ".join(_model_line(call) for call in turn.models) or "no model call"
    node = branch.add(f"turn {turn.number:<3} [green]{bar(share, 12)}[/] {format_usd(turn.nanos):>10}  {models}")
    for call in turn.tools:
        node.add(_tool_line(call))


def _model_line(call: CallRecord) -> str:
    settled = call.settlement
    if settled is None:
        return f"{shown(call.name)} [yellow]in flight[/], {format_usd(call.quote_nanos or 0)} set aside"
    usage = settled.usage
    tokens = f"{usage.input_tokens:,} in, {usage.output_tokens:,} out" if usage else "no tokens known"
    cached = f" ({usage.cache_read_input_tokens:,} cached)" if usage and usage.cache_read_input_tokens else ""
    note = "" if settled.certainty is Certainty.EXACT else f" [yellow]{settled.certainty.value}[/]"
    failed = f" [red]{shown(settled.error[:60])}[/]" if settled.error else ""
    return f"{shown(call.name)} {tokens}{cached}{note}{failed}"


def _tool_line(call: CallRecord) -> str:
    settled = call.settlement
    cost = f" {format_usd(call.cost_nanos)}" if call.cost_nanos else ""
    if settled is None:
        return f"tool {shown(call.name)}{cost} [yellow]running[/]"
    told = f"[red]{shown(settled.error[:60])}[/]" if settled.error else f"{settled.result_chars:,} chars"
    return f"tool {shown(call.name)}{cost}: {told}"


def _print_origins(console: Console, found: Explained) -> None:
    if not found.origins:
        return
    table = Table(title="Where each dollar went", title_justify="left", box=None, pad_edge=False)
    table.add_column("part", overflow="fold")
    for name in ("USD", "share", "first sent", "sent again"):
        table.add_column(name, justify="left" if name == "share" else "right", no_wrap=True)
    whole = found.spend.nanos or 1
    table.add_row("answers and tools", format_usd(found.output_nanos), bar(found.output_nanos / whole), "", "")
    for row in found.origins:
        again = f"{format_usd(row.again_nanos)} in {row.again_count} turns" if row.again_count else ""
        table.add_row(
            shown(_origin(row.origin)),
            format_usd(row.nanos),
            bar(row.nanos / whole),
            format_usd(row.first_nanos),
            again,
        )
    console.print(table)


def _origin(origin: str) -> str:
    if origin.startswith("tool:"):
        return f"results of {origin.removeprefix('tool:')}"
    return {
        "tools": "tool schemas",
        "user": "user messages",
        "assistant": "earlier answers",
        "system": "system prompt",
    }.get(origin, origin)


def print_accounts(console: Console, rows: Sequence[tuple[str | None, AccountRow]]) -> None:
    """Budgets and how full they are."""
    table = Table(title="Budgets", title_justify="left", box=None, pad_edge=False)
    table.add_column("budget", overflow="fold")
    table.add_column("account", overflow="fold", ratio=1)
    for name in ("limit", "posted", "pending", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("used", no_wrap=True)
    table.add_column("frees", no_wrap=True)
    for budget, row in rows:
        unit, limit = row.account.unit, row.limit
        used = (row.balance.posted + row.balance.pending) / limit if limit else 0.0
        left = "" if limit is None else _amount(max(row.balance.available(limit), 0), unit)
        table.add_row(
            shown(budget or "?"), shown(row.account.title), "" if limit is None else _amount(limit, unit),
            _amount(row.balance.posted, unit), _amount(row.balance.pending, unit), left,
            f"{bar(used, 8)} {used:.0%}" if limit else "", when(row.account.window_end) if row.account.window_end else "never",
        )  # fmt: skip
    console.print(table)


def _amount(amount: int, unit: Unit) -> str:
    return format_usd(amount) if unit is Unit.USD else f"{in_units(amount, unit):,f} {unit.value}"


def print_latches(console: Console, latches: Sequence[Latch]) -> None:
    """Who is stopped and why; runs that one account stopped are one line."""
    groups: dict[object, list[Latch]] = {}
    for latch in latches:
        groups.setdefault(latch.account_key or latch.scope, []).append(latch)
    for latch, *others in groups.values():
        colour = "yellow" if latch.state.value == "half_open" else "red"
        scope = shown(f"{latch.scope_kind}:{latch.scope_id}")
        until = f", until {when(latch.until)}" if latch.until else ""
        more = f" (and {len(others)} more runs for the same budget)" if others else ""
        console.print(
            f"[{colour}]■[/] [bold]{scope}[/]{more} {latch.state.value} since {when(latch.since)}{until}, "
            f"rule {shown(latch.rule)}, by {shown(latch.by)}\n  {shown(latch.reason)}",
            highlight=False,
        )


def folded(events: Sequence[Event]) -> list[tuple[Event, int]]:
    """Neighbouring refusals by one budget as one: the latest, and how many."""
    found: list[tuple[Event, int]] = []
    for event in events:
        last = found[-1][0] if found else None
        if (
            last is not None
            and (last.kind, last.facts.get("budget")) == (event.kind, event.facts.get("budget"))
            and event.facts.get("budget")
        ):
            found[-1] = (event, found[-1][1] + 1)
        else:
            found.append((event, 1))
    return found
