"""The table of commands."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from runguard_core.cli import (
    _acting,
    _actions,
    _alerts,
    _anomalies,
    _anomaly_life,
    _audit,
    _blame,
    _chargeback,
    _deciding,
    _demo_weeks,
    _doctor,
    _export,
    _fleet,
    _import,
    _incident,
    _keeping,
    _ledger,
    _owners,
    _plan,
    _policy_diff,
    _raising,
    _reading,
    _reconcile,
    _replay,
    _reporting,
    _review,
    _run,
    _shadow,
    _why,
)
from runguard_core.cli._app import app, out
from runguard_core.cli._text import steady_streams

#: Each module adds its commands to the app.
_TABLE = (
    _acting,
    _actions,
    _alerts,
    _anomalies,
    _anomaly_life,
    _audit,
    _blame,
    _chargeback,
    _deciding,
    _demo_weeks,
    _doctor,
    _export,
    _fleet,
    _import,
    _incident,
    _keeping,
    _ledger,
    _owners,
    _plan,
    _policy_diff,
    _raising,
    _reading,
    _reconcile,
    _replay,
    _reporting,
    _review,
    _run,
    _shadow,
    _why,
)  # fmt: skip
#: How `runguard --help` lists the commands; those not named here come last.
PANELS = {
    "Begin": ("demo", "run", "doctor", "policy", "import"),
    "See what was spent, and why": ("sessions", "explain", "report", "budget", "trips", "anomalies", "incident", "why", "blame"),
    "Find the right rules": ("replay", "shadow", "plan", "forecast"),
    "Run the practice": (
        "review",
        "owners",
        "anomaly",
        "alerts",
        "actions",
        "showback",
        "chargeback",
        "metrics",
        "export",
        "reconcile",
    ),
    "Decide": ("kill", "reset", "raise", "audit"),
    "Look after the ledger": ("verify", "ledger", "prices", "forget", "prune"),
}


def _version(wanted: bool) -> None:
    if wanted:
        try:
            out.print(f"runguard {version('runguard-core')}", highlight=False)
        except PackageNotFoundError:  # pragma: no cover - a checkout that was never installed
            out.print("runguard (not installed)")
        raise typer.Exit


@app.callback()
def root(
    version_: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Meters what LLM agents spend, and refuses the next call of a run that breaks a budget or loops."""


@app.command("demo")
def demo_command(
    weeks: Annotated[
        int | None, typer.Option("--weeks", min=1, max=520, help="Write a ledger of so many weeks instead, to try things on.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="With --weeks: their last day; else the last Sunday.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="With --weeks: the same seed, the same traffic.")] = 1,
    scale: Annotated[float, typer.Option("--scale", min=0.01, max=100, help="With --weeks: times 200 sessions a day.")] = 1.0,
    incidents: Annotated[
        bool, typer.Option("--incidents/--no-incidents", help="With --weeks: eleven incidents of eight kinds, or none.")
    ] = True,
    store: Annotated[
        str | None, typer.Option("--store", help="With --weeks: where; else demo-shop.db in the state directory.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", help="With --weeks: write what was put in, as JSON, to this file.")
    ] = None,
) -> None:
    r"""Run the main job offline in a few seconds: a healthy agent, a loop that is stopped, a burst against a cap.

    Needs LangChain: pip install 'runguard-core\[langchain]'

    With --weeks it writes the ledger of a shop of six features, and its policy beside it: owners, budgets, incidents with the
    events that a guard would have announced. The same again changes nothing.

    Example: [bold]runguard demo --weeks 16[/]
    """
    if weeks is not None:
        wanted = _demo_weeks.wanted_of(weeks, until, seed, scale, datetime.now(UTC), has_incidents=incidents)
        raise typer.Exit(_demo_weeks.run_weeks(wanted, store, truth))
    from runguard_core.cli._demo import run_demo  # noqa: PLC0415  imports LangChain

    raise typer.Exit(run_demo(out))


def _arrange() -> None:
    """Commands in the order and under the headings of PANELS."""
    heading = {name: panel for panel, names in PANELS.items() for name in names}
    place = {name: number for number, name in enumerate(heading)}
    app.registered_commands.sort(key=lambda command: place.get(command.name or "", len(place)))
    for command in app.registered_commands:
        command.rich_help_panel = heading.get(command.name or "", "More")
    for group in app.registered_groups:
        group.rich_help_panel = heading.get(str(group.name), "More")


_arrange()


def main() -> None:
    """Entry point of the `runguard` command."""
    steady_streams()
    app()
