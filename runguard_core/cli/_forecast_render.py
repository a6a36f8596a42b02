"""Forecasts as tables for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from runguard_core.cli._plan_render import amount
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import shown
from runguard_core.finops import Window
from runguard_core.finops.planning import Line

if TYPE_CHECKING:
    from runguard_core.cli._forecast import Outlook

_BLOCKS = "▁▂▃▄▅▆▇█"


def print_forecasts(
    console: Console, kind: str, windows: Sequence[Window], coming: Sequence[Window], rows: Sequence[Outlook]
) -> None:
    """One line a feature and kind of growth, then who outgrows what, and when."""
    if not windows:
        console.print(f"No whole {kind} is in the ledger yet: nothing to forecast from.")
        return
    last = coming[-1]
    columns = (
        name("feature"), Column("past", spare=2), name("growth"), figure(f"a {kind}"), figure(last.name),
        figure("80 % band", spare=1),
        Column("outgrown"),
    )  # fmt: skip
    cells = [cell for row in rows for cell in _cells(row, coming)]
    title = f"{windows[0].name} to {windows[-1].name} ({len(windows)} whole {kind}s) and {len(coming)} more"
    print_table(console, title, columns, cells)
    console.print(f"[dim]compound: the same per cent more each {kind}; linear: the same dollars more; * fits the past better[/]")
    band = f"80 % band: of {last.name}, from the spread of residuals"
    console.print(f"[dim]{band}; outgrown: the plan is passed, ?: by the band[/]")


def _cells(row: Outlook, coming: Sequence[Window]) -> list[tuple[str, ...]]:
    whose, past = "[bold]all[/]" if row.feature is None else shown(row.feature), _sparks(row.past)
    if row.found.linear is None:
        return [(whose, past, "[dim]too few to tell[/]", "", "", "", "")]
    found: list[tuple[str, ...]] = []
    better = row.found.better
    for kind, line in (("compound", row.found.compound), ("linear", row.found.linear)):
        first = not found
        head = (whose if first else "", past if first else "")
        if line is None:
            found.append((*head, kind, "[dim]no spend in between[/]", "", "", ""))
            continue
        mark = "*" if line is better else ""
        end = line.points[-1]
        band = "-" if end.low_nanos is None else f"{amount(end.low_nanos)} - {amount(end.high_nanos)}"
        found.append((
            *head, f"{kind}{mark}", step(line), amount(end.nanos), band, _when(row, kind, coming),
        ))  # fmt: skip
    return found


def step(line: Line) -> str:
    """What is added each time."""
    if line.step_ratio is not None:
        return f"{line.step_ratio:+.1%}"
    nanos = line.step_nanos or 0
    return f"{'+' if nanos >= 0 else '-'}{amount(abs(nanos))}"


def _when(row: Outlook, kind: str, coming: Sequence[Window]) -> str:
    if row.limits is None:
        return "[dim]no budget[/]"
    place, may = row.outgrown(kind), row.outgrown(kind, "high_nanos")
    if place is not None:
        return f"[red]{coming[place].name}[/]"
    return "no" if may is None else f"[yellow]{coming[may].name}?[/]"


def _sparks(past: Sequence[int]) -> str:
    """The last sixteen windows as blocks, each between nothing and the largest."""
    some = past[-16:]
    top = max(some, default=0) or 1
    return "".join(_BLOCKS[min(nanos * len(_BLOCKS) // top, len(_BLOCKS) - 1)] for nanos in some)


def print_projected(console: Console, start: int, ratio: float, compound: Sequence[int], linear: Sequence[int]) -> None:
    """A start and a rate, step by step."""
    columns = (figure("after"), figure("compound"), figure("linear"), figure("apart"))
    cells = [
        (f"{number}", amount(more), amount(less), amount(more - less))
        for number, (more, less) in enumerate(zip(compound, linear, strict=True), 1)
    ]
    print_table(console, f"{amount(start)} growing by {ratio * 100:.4g} % each time", columns, cells)
    console.print("[dim]compound: each step grows by that share of the step before; linear: by that share of the start[/]")
