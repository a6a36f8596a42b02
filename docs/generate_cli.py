"""Writes docs/cli.md from the commands' own help: `python docs/generate_cli.py`."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._app import app


def commands() -> list[str]:
    """Every command and subcommand, as `runguard --help` lists them; groups before what is in them."""
    names = [str(command.name) for command in app.registered_commands]
    for group in app.registered_groups:
        inner = group.typer_instance.registered_commands if group.typer_instance is not None else []
        names += [str(group.name), *(f"{group.name} {command.name}" for command in inner)]
    return names


def text() -> str:
    """The page."""
    runner = CliRunner()
    parts = ["# Commands\n\nWritten by `python docs/generate_cli.py` from the commands' own help; a test compares them.\n"]
    for name in ["", *commands()]:
        args = [*name.split(), "--help"]
        shown = runner.invoke(app, args, env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}, prog_name="runguard").output
        shown = "\n".join(line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).strip("\n").splitlines())
        parts.append(f"## runguard {name}".rstrip() + f"\n\n```text\n{shown}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(text(), encoding="utf-8")
