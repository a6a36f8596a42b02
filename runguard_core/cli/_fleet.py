"""Commands for the ledgers of many hosts: ledger ship, merge, sources, migrate."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from runguard_core.budgets import parse_limit
from runguard_core.cli._app import Exit, JsonOption, as_kept, err, errors, fail, out, say, show
from runguard_core.cli._ledger import ledger_app
from runguard_core.cli._standing import standing_json
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import shown
from runguard_core.errors import LedgerError, PolicyError
from runguard_core.fleet import Judged, Shipped, Standing, judge, ship, stale
from runguard_core.ledger import FleetStore, Unit
from runguard_core.stores import default_path, open_fleet, state_directory

HostOption = Annotated[str | None, typer.Option("--host", help="The name of this host in the fleet; its own when left out.")]


@ledger_app.command("ship")
def ship_command(
    to: Annotated[
        str, typer.Option("--to", help="The fleet's ledger: postgresql://HOST/DATABASE?schema=NAME or sqlite:///FILE.")
    ],
    store: Annotated[list[str] | None, typer.Option("--store", help="A ledger's URL; may be given more than once.")] = None,
    app_name: Annotated[
        str | None, typer.Option("--app", callback=as_kept, help="Whose default ledger; all when left out.")
    ] = None,
    host: HostOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring what is new in this host's ledgers into the fleet's; run it as often as you like, from a timer for example.

    Nothing is taken away here and nothing arrives twice, however often it is run, interrupted, or run twice at once.

    Example: [bold]runguard ledger ship --to 'postgresql://fleet@db/runguard'[/]
    """
    urls = store or ([f"sqlite:///{default_path(app_name)}"] if app_name else _local_urls())
    here = host or platform.node() or "unknown"
    _ship_all([(url, here) for url in urls], to, as_json)


@ledger_app.command("merge")
def merge_command(
    files: Annotated[list[Path], typer.Argument(help="Ledgers of other machines, copied here.")],
    into: Annotated[str, typer.Option("--into", help="The ledger that takes them in: sqlite:///FILE or postgresql://...")],
    as_json: JsonOption = False,
) -> None:
    """Merge ledgers into one; a file that grew and is merged again adds what is new.

    Example: [bold]runguard ledger merge web-1.db web-2.db --into sqlite:///all.db[/]
    """
    _ship_all([(f"sqlite:///{file.absolute()}", file.stem) for file in files], into, as_json)


@ledger_app.command("sources")
def sources_command(
    store: Annotated[str, typer.Option("--store", help="The fleet's ledger.")],
    expect: Annotated[
        list[str] | None, typer.Option("--expect", help="A host (or a ledger's id or path) that must be there; repeat it.")
    ] = None,
    late: Annotated[str, typer.Option("--late", help="A ledger that was not shipped for so long is late.")] = "1h",
    as_json: JsonOption = False,
) -> None:
    """List the ledgers that were shipped here; where one is missing or late, sums say too little, and the exit code is 1.

    Example: [bold]runguard ledger sources --store 'postgresql://fleet@db/runguard' --expect web-1 --expect web-2[/]
    """
    with errors(), _opened(store) as fleet:
        found = judge(fleet.sources(), expect or (), datetime.now(UTC), _late_after(late))

        def text() -> None:
            if not found:
                say("No ledger has been shipped here yet: runguard ledger ship --to URL")
            else:
                _print_sources(found)

        show(as_json, {"ledger": fleet.url, "sources": [standing_json(one) for one in found]}, text)
        if stale(found):
            raise typer.Exit(Exit.FOUND_WRONG)


def _late_after(text: str) -> timedelta:
    found = parse_limit(text, key="--late")
    if found.unit is not Unit.SECONDS:
        raise PolicyError(key="--late", expected=f'expected a time such as "1h" or "30m", got {text!r}')
    return timedelta(milliseconds=found.amount)


@contextmanager
def _opened(url: str, *, must_exist: bool = True) -> Iterator[FleetStore]:
    path = url.removeprefix("sqlite:///")
    if must_exist and url.startswith("sqlite:///") and not Path(path).exists():
        raise fail(f"there is no ledger at {path}", Exit.NO_LEDGER)
    fleet = open_fleet(url)
    try:
        yield fleet
    finally:
        fleet.close()


def _local_urls() -> list[str]:
    found = sorted(path for path in state_directory().glob("*.db") if path.is_file())
    if not found:
        raise fail(f"there is no ledger in {state_directory()}: name one with --store or --app", Exit.NO_LEDGER)
    return [f"sqlite:///{path}" for path in found]


def _ship_all(places: Sequence[tuple[str, str]], to: str, as_json: bool) -> None:
    """Ship one ledger after the other; one that cannot be shipped does not keep the others back."""
    done: list[tuple[str, Shipped]] = []
    failed: list[str] = []
    with errors(), ExitStack() as stack:
        fleet = stack.enter_context(_opened(to, must_exist=False))
        for url, host in places:
            with _opened(url) as ledger:
                if ledger.ledger_id() == fleet.ledger_id():
                    raise fail(f"{fleet.url} cannot be shipped into itself", Exit.USAGE)
                try:
                    done.append((ledger.url, _ship_one(ledger, fleet, host)))
                except LedgerError as error:
                    failed.append(f"{ledger.url}: {error}")
        document = {"into": fleet.url, "shipped": [_shipped_json(url, one) for url, one in done], "failed": failed}
        show(as_json, document, lambda: _print_shipped(done))
    for text in failed:
        fail(text, Exit.FOUND_WRONG)
    if failed:
        raise typer.Exit(Exit.FOUND_WRONG)


def _ship_one(ledger: FleetStore, fleet: FleetStore, host: str) -> Shipped:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("calls"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(host, total=None)
        return ship(
            ledger, ledger.ledger_id(), fleet, host=host, at=datetime.now(UTC),
            tell=lambda done, of: progress.update(task, completed=done, total=of),
        )  # fmt: skip


def _print_shipped(done: Sequence[tuple[str, Shipped]]) -> None:
    for url, one in done:
        news = f"{one.line_count} new lines of {one.call_count} calls" if one.line_count else "nothing new"
        say(f"{one.source.host}: {news} ({url}, up to line {one.source.line})")


_COLORS = {Standing.FRESH: "green", Standing.LATE: "yellow", Standing.MISSING: "red"}
_COLUMNS = (name("Host"), Column("Standing"), Column("Last shipped (UTC)"), figure("Line", 1), name("Ledger", 2))


def _print_sources(found: Sequence[Judged]) -> None:
    cells = []
    for one in found:
        source = one.source
        last = [f"{source.shipped_at:%Y-%m-%d %H:%M:%S}", str(source.line), shown(source.place)] if source else ["never", "", ""]
        cells.append([shown(one.name), f"[{_COLORS[one.standing]}]{one.standing.value}[/]", *last])
    print_table(out, "Ledgers shipped here", _COLUMNS, cells)


def _shipped_json(url: str, one: Shipped) -> dict[str, Any]:
    return {
        "ledger": one.source.ledger, "url": url, "host": one.source.host, "line": one.source.line,
        "new_line_count": one.line_count, "call_count": one.call_count,
    }  # fmt: skip
