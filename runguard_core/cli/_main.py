"""The table of commands."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from runguard_core.cli import _acting, _doctor, _reading, _run
from runguard_core.cli._app import app, out

_TABLE = (_acting, _doctor, _reading, _run)


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
def demo_command() -> None:
    """Run the main job offline in a few seconds: a healthy agent, a loop that is stopped, a burst against a cap.

    Needs LangChain: pip install 'runguard-core[langchain]'
    """
    from runguard_core.cli._demo import run_demo  # noqa: PLC0415  imports LangChain

    raise typer.Exit(run_demo(out))


def main() -> None:
    """Entry point of the `runguard` command."""
    app()
