"""What models, tools and users call themselves, as every command prints it: no markup, no terminal's orders, valid JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runguard_core import Guard, Outcome, OutcomeKind, StoppedError, ToolCall, Usage
from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._app import app
from runguard_core.stores import default_path

NAMES = [
    "[red]loud[/red]", "[/]", "\\[bold]x", "\x1b[2J\x1b]0;owned\x07", "two\nlines\r", "\u202eevil", ":smile:", "\x9b31m", "a\0b",
    "[link=http://x]y[/link]", "--json", "日本語", "{}%s",
]  # fmt: skip
COMMANDS = ["sessions", "report", "budget", "trips", "verify", "explain", "shadow"]
ORDERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")


def run(*args: str, code: int = 0) -> str:
    """A command's output."""
    found = CliRunner().invoke(app, list(args), env={"COLUMNS": "100"})
    assert found.exit_code == code, found.output + str(found.exception)
    return found.output


@pytest.fixture
def ledger() -> Path:
    """Sessions, agents, users, tags, models, tools, errors and stops with such names."""
    guard = Guard(app="h[red]x", max_cost_per_session_usd="0.01", detector_modes={"repeat": "observe"})
    for name in NAMES:
        with guard.session(name, agent=name, user=name, tags={name: name}):
            guard.model_call("gpt-4o-mini", prompt=name).post(Usage(input_tokens=9, output_tokens=1), model=name)
            for _ in range(4):
                guard.reserve(ToolCall(name=name)).settle(Outcome(kind=OutcomeKind.FAILED, error=name))
            with pytest.raises(StoppedError):
                guard.model_call("gpt-4o-mini", prompt="x" * 10**6)
        guard.kill(f"agent:{name}", reason=name, by=name)
    guard.close()
    return default_path("h[red]x")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_gives_orders_or_breaks_json(ledger: Path, command: str) -> None:
    """As text and as JSON."""
    assert not ORDERS.search(run(command, "--store", f"sqlite:///{ledger}"))
    document = run(command, "--store", f"sqlite:///{ledger}", "--json")
    assert not ORDERS.search(document)
    json.loads(document)


def test_an_incident_is_plain_text_too(ledger: Path) -> None:
    """One JSON document a line."""
    lines = run("incident", "[red]loud[/red]", "--store", f"sqlite:///{ledger}")
    assert not ORDERS.search(lines)
    assert [json.loads(line) for line in lines.splitlines()]


def test_what_looks_like_markup_is_shown_as_it_is(ledger: Path) -> None:
    """And a picture's name stays a name."""
    text = run("sessions", "--store", f"sqlite:///{ledger}")
    for name in ("[red]loud[/red]", "[/]", "\\[bold]x", ":smile:", r"\x1b[2J", r"two\nlines\r"):
        assert name in text, name


@pytest.mark.parametrize("args", [("report",), ("explain", "日本語"), ("sessions", "--json")])
def test_a_terminal_that_knows_only_ascii_is_enough(ledger: Path, args: tuple[str, ...]) -> None:
    """Pictures become letters, letters are written out."""
    command = [sys.executable, "-m", "runguard_core.cli", *args, "--store", f"sqlite:///{ledger}"]
    env = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, encoding="ascii", timeout=60, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u65e5\\u672c" in done.stdout
    if "--json" in args:
        assert "日本語" in [row["session"] for row in json.loads(done.stdout)["sessions"]]


@pytest.mark.parametrize("name", ["[/nope]", "\\[/nope]", "a b", "\x1b[2J", "\udcff"])
def test_arguments_are_no_markup_either(ledger: Path, name: str) -> None:
    """Said back in every sentence, with a way to undo it that a shell understands."""
    store = ("--store", f"sqlite:///{ledger}")
    undo = run("kill", f"session:{name}", "--reason", name, *store).partition("Undo: ")[2]
    assert "--store" in undo
    assert name != "a b" or "'session:a b'" in undo
    assert "no calls of session" in run("explain", name, *store, code=1)
    assert "may run again" in run("reset", f"session:{name}", "--reason", name, *store)
    assert "no ledger" in run("sessions", "--store", f"sqlite:////nowhere/{name}", code=3)


def test_names_are_made_fit_in_one_place_only() -> None:
    """Escaping markup alone leaves a terminal's orders in: `shown` does both."""
    folder = Path(__file__).parents[2] / "runguard_core" / "cli"
    users = [path.name for path in folder.glob("*.py") if "rich.markup import" in path.read_text()]
    assert users == ["_text.py"]
