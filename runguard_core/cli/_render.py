"""Reports as tables and bars for a terminal of 80 columns and more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.tree import Tree

from runguard_core.budgets import in_units
from runguard_core.calls import Certainty
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.ledger import AccountRow, CallRecord, Event, Latch, LatchState, Unit
from runguard_core.money import format_usd
from runguard_core.reports import Explained, RunExplained, SessionRow, Spend, Turn

_BAR = 16
_COLOURS = {"stopped": "red", "running": "green"}
_STATES = {
    LatchState.OPEN: "stopped",
    LatchState.HALF_OPEN: "on trial (the next sign of what tripped it is refused)",
    LatchState.FORCED_OPEN: "stopped by hand",
}


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
    columns = [
        name(by), figure("USD"), Column("share", spare=4), figure("calls"), figure("tools", 1), figure("tokens in", 2),
        figure("out", 3), Column("certainty", folds=True),
    ]  # fmt: skip
    cells = [
        (
            shown(row.key), format_usd(row.nanos), bar(row.nanos / whole.nanos if whole.nanos else 0.0, 10), str(row.call_count),
            str(row.tool_count), f"{row.usage.input_tokens:,}", f"{row.usage.output_tokens:,}", certainty_note(row),
        )
        for row in (*rows, whole)
    ]  # fmt: skip
    print_table(console, f"Spend by {by}", columns, cells, has_total=True)


def print_sessions(console: Console, rows: Sequence[SessionRow]) -> None:
    """Sessions, the newest first."""
    columns = [
        name("session"), Column("last call", spare=2), figure("USD"), figure("turns", 4), figure("tools", 5), Column("state"),
        figure("dead tail", 3), name("agents", 1),
    ]  # fmt: skip
    cells: list[tuple[str, ...]] = [
        (
            shown(row.id), when(row.last_at), format_usd(row.spend.nanos), str(row.turn_count), str(row.spend.tool_count),
            f"[{_COLOURS.get(row.state, 'default')}]{row.state}[/]",
            format_usd(row.dead_tail_nanos) if row.dead_tail_nanos else "", shown(", ".join(sorted(row.agents))),
        )
        for row in rows
    ]  # fmt: skip
    if not any(row.dead_tail_nanos for row in rows):
        columns, cells = columns[:6] + columns[7:], [row[:6] + row[7:] for row in cells]
    print_table(console, "Sessions, newest first", columns, cells)


def print_explained(console: Console, found: Explained) -> None:
    """A waterfall of runs, tool loops and turns; then where each dollar went; then what stopped it."""
    spend = found.spend
    console.print(
        f"Session [bold]{shown(found.session)}[/]: {format_usd(spend.nanos)} ({certainty_note(spend)}), "
        f"{counted(spend.call_count, 'model call')}, {counted(spend.tool_count, 'tool call')}, "
        f"{spend.usage.input_tokens:,} tokens in, {spend.usage.output_tokens:,} out",
        highlight=False,
    )
    most = max((turn.nanos for run in found.runs for turn in run.turns), default=0)
    for run in found.runs:
        if run.parent is None:
            console.print(_run_tree(run, most), highlight=False)
    _print_origins(console, found)
    print_stops(console, found.stops)


def print_stops(console: Console, events: Sequence[Event]) -> None:
    """The latest stops; refusals by one budget that follow each other are one."""
    for event, count in folded(events):
        times = f" ({count} times)" if count > 1 else ""
        console.print(f"[red]■[/] {when(event.at)} [bold]{event.kind}[/]{times}: {shown(event.message)}", highlight=False)


def dead_tail_note(nanos: int, of_nanos: int) -> str:
    """How much was spent after the last new tool result, as the end of a sentence; empty without any."""
    share = f" ({nanos / of_nanos:.0%})" if of_nanos else ""
    return f", [yellow]dead tail {format_usd(nanos)}{share}[/] after its last new tool result" if nanos else ""


def _run_tree(run: RunExplained, most: int) -> Tree:
    tree = Tree(_run_title(run), guide_style="dim")
    loops = {(agent, loop): (count, nanos) for agent, loop, count, nanos in run.loops()}
    current: tuple[str | None, int] | None = None
    branch = tree
    for turn in run.turns:
        key = (turn.agent, turn.loop)
        if key != current:
            count, nanos = loops[key]
            who = shown(turn.agent or "agent")
            branch = tree.add(f"[cyan]{who}[/], tool loop {turn.loop}: {counted(count, 'turn')}, {format_usd(nanos)}")
            current = key
        _add_turn(branch, turn, most)
    for child in run.children:
        tree.add(_run_tree(child, most))
    return tree


def _run_title(run: RunExplained) -> str:
    tail = dead_tail_note(run.dead_tail_nanos or 0, run.nanos)
    below = f" and {format_usd(run.below_nanos)} by its sub-agents" if run.below_nanos else ""
    if run.child is None:
        return f"run {shown(run.id)}  {format_usd(run.nanos)}{below}{tail}"
    part = f", of {shown(run.limit)}" if run.limit is not None else ""
    return f"[bold]sub-agent {shown(run.child)}[/]  {format_usd(run.nanos)}{below}{part}{tail}"


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
    whole = found.spend.nanos or 1
    columns = [name("part"), figure("USD"), Column("share"), figure("first sent", 1), figure("sent again", 2)]
    cells = [("answers and tools", format_usd(found.output_nanos), bar(found.output_nanos / whole), "", "")]
    for row in found.origins:
        again = f"{format_usd(row.again_nanos)} in {counted(row.again_count, 'turn')}" if row.again_count else ""
        part = shown(_origin(row.origin))
        cells.append((part, format_usd(row.nanos), bar(row.nanos / whole), format_usd(row.first_nanos), again))
    print_table(console, "Where each dollar went", columns, cells)


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
    columns = [
        name("budget", 2), name("account"), figure("limit"), figure("posted"), figure("pending", 4), figure("left", 3),
        Column("", spare=5), figure("used"), Column("frees", spare=1),
    ]  # fmt: skip
    print_table(console, "Budgets", columns, [_account_cells(budget, row) for budget, row in rows])


def _account_cells(budget: str | None, row: AccountRow) -> tuple[str, ...]:
    unit, limit, balance = row.account.unit, row.limit, row.balance
    used = (balance.posted + balance.pending) / limit if limit else 0.0
    frees = when(row.account.window_end) if row.account.window_end else "never"
    limited = ("", "", "", "")
    if limit is not None:
        left = _amount(max(balance.available(limit), 0), unit)
        limited = (_amount(limit, unit), left, bar(used, 8) if limit else "", f"{used:.0%}" if limit else "")
    shown_limit, left, picture, share = limited
    posted, pending = _amount(balance.posted, unit), _amount(balance.pending, unit)
    return (shown(budget or "?"), shown(row.account.title), shown_limit, posted, pending, left, picture, share, frees)


def _amount(amount: int, unit: Unit) -> str:
    return format_usd(amount) if unit is Unit.USD else f"{in_units(amount, unit):,f} {unit.value}"


def print_latches(console: Console, latches: Sequence[Latch]) -> None:
    """Who is stopped and why; runs that one account stopped are one line."""
    groups: dict[object, list[Latch]] = {}
    for latch in latches:
        groups.setdefault(latch.account_key or latch.scope, []).append(latch)
    for latch, *others in groups.values():
        colour = "yellow" if latch.state is LatchState.HALF_OPEN else "red"
        scope = shown(f"{latch.scope_kind}:{latch.scope_id}")
        until = f", until {when(latch.until)}" if latch.until else ""
        more = f" (and {counted(len(others), 'more run')} for the same budget)" if others else ""
        console.print(
            f"[{colour}]■[/] [bold]{scope}[/]{more} {_STATES[latch.state]} since {when(latch.since)}{until}, "
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
