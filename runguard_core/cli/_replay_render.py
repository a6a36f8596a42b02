"""Played recordings as tables for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.money import format_usd
from runguard_core.replay import Played, ReplaySum, Tally, summed


def print_played(console: Console, played: Sequence[Played], *, only_stopped: bool, limit: int) -> None:
    """The runs, what each rule did, and the sum."""
    found = summed(played)
    rows = sorted(played, key=lambda one: (one.stop is None, -one.saved.nanos, -one.saved.call_count))
    rows = [one for one in rows if one.stop is not None or not only_stopped]
    if rows and limit:
        _print_runs(console, rows[:limit])
        if len(rows) > limit:
            console.print(f"... and {len(rows) - limit:,} more (--limit)", style="dim", highlight=False)
        console.print()
    if found.rules:
        _print_rules(console, found)
        console.print()
    for line in lines_of(found):
        console.print(line, highlight=False)


def _print_runs(console: Console, rows: Sequence[Played]) -> None:
    columns = (
        name("run"), figure("stop at"), name("rule"), figure("calls saved", spare=1), figure("USD saved", spare=2),
        Column("well"),
    )  # fmt: skip
    cells = [_cells(one, id_chars(console)) for one in rows]
    print_table(console, "Runs, those that would have been stopped first", columns, cells)


def _cells(one: Played, most_chars: int) -> tuple[str, ...]:
    well = {True: "yes", False: "no", None: ""}[one.went_well]
    if one.stop is None:
        warned = ", ".join(dict.fromkeys(warn.rule for warn in one.warns))
        said = f"[yellow]warns: {shown(warned)}[/]" if warned else ""
        return (shown(short(one.run_id, most_chars)), f"- of {one.event_count}", said, "", f"- of {dollars(one)}", well)
    saved = dollars_of(one.saved)
    colour = "red" if one.went_well else "default"
    return (
        shown(short(one.run_id, most_chars)), f"{one.stop.index} of {one.event_count}", f"[{colour}]{shown(one.stop.rule)}[/]",
        f"{one.saved.call_count} of {one.whole.call_count}", f"{saved} of {dollars(one)}",
        "[bold red]HIT[/]" if one.went_well else well,
    )  # fmt: skip


def dollars(one: Played) -> str:
    """What a run cost; "?" where nothing is known of it."""
    return format_usd(one.total_nanos) if one.total_nanos or not one.whole.untold_count else "?"


def dollars_of(tally: Tally) -> str:
    """A sum over calls; "?" where calls are in it and nothing is known of what they cost."""
    return "?" if tally.untold_count and not tally.nanos else format_usd(tally.nanos)


def id_chars(console: Console) -> int:
    """How much of a run's id a table has room for."""
    return 33 if console.width >= 100 else 22


def short(run_id: str, most_chars: int) -> str:
    """An id that fits: its beginning and its end say more than its middle."""
    return run_id if len(run_id) <= most_chars else f"{run_id[:10]}…{run_id[-(most_chars - 11) :]}"


def _print_rules(console: Console, found: ReplaySum) -> None:
    columns = (
        name("rule"), figure("stops"), figure("healthy hit"), figure("calls saved", spare=2), figure("tokens saved", spare=4),
        figure("USD saved", spare=1), figure("runs warned", spare=3), figure("observed", spare=5),
    )  # fmt: skip
    rows = []
    for row in found.rules:
        hit = f"[bold red]{row.healthy_count}[/]" if row.healthy_count else "0"
        stopped = (f"{row.stop_count}", hit, f"{row.saved.call_count:,}", f"{row.saved.tokens:,}", dollars_of(row.saved))
        said = (f"{row.warn_count or ''}", f"{row.observed_count or ''}")
        rows.append((shown(row.rule), *(stopped if row.stop_count else ("", "", "", "", "")), *said))
    print_table(console, "By rule", columns, rows)


def lines_of(found: ReplaySum) -> list[str]:
    """The sum in sentences, the unknown part included."""
    share = f" ({found.stop_count / found.run_count:.0%})" if found.run_count else ""
    saved, whole = found.saved, found.whole
    events = f"[bold]{counted(found.run_count, 'run')}[/], {counted(found.event_count, 'event')}"
    calls = f"{saved.call_count:,} of {whole.call_count:,} calls, {saved.tokens:,} of {whole.tokens:,} tokens"
    total = "?" if whole.untold_count and not found.total_nanos else format_usd(found.total_nanos)
    lines = [
        f"{events}: [bold]{found.stop_count:,} would have been stopped[/]{share}.",
        f"Saved: {calls}, {dollars_of(saved)} of {total}.",
    ]
    if found.judged_count:
        colour = "bold red" if found.healthy_count else "green"
        lines.append(
            f"{found.well_count:,} of {found.judged_count:,} runs that say how they ended went well: "
            f"[{colour}]{found.healthy_count} of these would have been stopped[/]."
        )
    else:
        lines.append("No run says whether it went well (outcome, labels), so false stops cannot be counted.")
    if found.whole.untold_count:
        lines.append(
            f"[yellow]Of {found.whole.untold_count:,} model calls neither cost nor priceable tokens were recorded[/]: they count "
            "as nothing here, so the dollars above are the least it was."
        )
    return lines
