"""Writes docs/cli.md from the commands' own help: `python docs/generate_cli.py`."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._app import app

COMMANDS = [
    "demo",
    "run",
    "sessions",
    "explain",
    "report",
    "budget",
    "trips",
    "reset",
    "kill",
    "prices",
    "verify",
    "doctor",
    "policy",
]


def text() -> str:
    """The page."""
    runner = CliRunner()
    parts = ["# Commands\n\nWritten by `python docs/generate_cli.py` from the commands' own help; a test compares them.\n"]
    for name in ["", *COMMANDS, *(f"policy {sub}" for sub in ("check", "show", "schema", "init"))]:
        args = [*name.split(), "--help"]
        shown = runner.invoke(app, args, env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}, prog_name="runguard").output
        shown = "\n".join(line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).strip("\n").splitlines())
        parts.append(f"## runguard {name}".rstrip() + f"\n\n```text\n{shown}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(text(), encoding="utf-8")
