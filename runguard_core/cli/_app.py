"""What all commands share: the typer application, the ledger they read, JSON, errors and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from runguard_core.attribution import clean
from runguard_core.cli._text import json_text, shown
from runguard_core.errors import PolicyError, RunguardError, StoreError
from runguard_core.ledger import Store
from runguard_core.policy import Policy, load_policy
from runguard_core.stores import default_path, open_store, state_directory


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    FOUND_WRONG = 1
    USAGE = 2
    NO_LEDGER = 3
    STOPPED = 4


EPILOG = (
    "Exit codes: 0 fine; 1 something is wrong (verify, doctor) or not there; 2 usage or policy; 3 no ledger or it cannot be "
    "used; 4 the program was stopped by RunGuard (run). What is shown can be had as JSON: --json."
)
app = typer.Typer(
    name="runguard",
    help="Meters what LLM agents spend, and refuses the next call of a run that breaks a budget or loops.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out, err = Console(highlight=False, emoji=False), Console(stderr=True, highlight=False, emoji=False)


def as_kept(text: str | None) -> str | None:
    """An id or a name as the ledger keeps it."""
    return text if text is None else clean(text)


StoreOption = Annotated[str | None, typer.Option("--store", help="The ledger's URL, e.g. sqlite:///runguard.db.")]
AppOption = Annotated[str | None, typer.Option("--app", callback=as_kept, help="Whose default ledger to read.")]
PolicyOption = Annotated[Path | None, typer.Option("--policy", help="Policy file; else RUNGUARD_POLICY, ./runguard.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


def fail(message: str, code: Exit) -> typer.Exit:
    """Say one sentence on standard error; raise what comes back."""
    first, *rest = message.split("\n")
    err.print(f"[bold red]runguard:[/] {shown(first)}", soft_wrap=True)  # what is named can be copied
    for line in rest:  # lines to paste into a file stay lines
        err.print(shown(line), soft_wrap=True)
    return typer.Exit(code)


def say(text: str) -> None:
    """A line of text on standard output, whole, so that what stands in it can be copied."""
    out.print(shown(text), soft_wrap=True)


@contextmanager
def errors() -> Iterator[None]:
    """RunGuard's own errors become one sentence and an exit code, never a traceback."""
    try:
        yield
    except PolicyError as error:
        raise fail(str(error), Exit.USAGE) from None
    except StoreError as error:
        raise fail(str(error), Exit.NO_LEDGER) from None
    except RunguardError as error:
        raise fail(str(error), Exit.FOUND_WRONG) from None


@contextmanager
def ledger(store: str | None, app_name: str | None, policy: Path | None) -> Iterator[tuple[Store, Policy]]:
    """The ledger a command speaks of: --store, --app, the policy's, or the one written to last."""
    with errors():
        loaded = load_policy(policy)
        opened = open_store(_there(store, app_name, loaded))
        try:
            yield opened, loaded
        finally:
            opened.close()


def ledger_url(store: str | None, app_name: str | None, policy: Path | None) -> str:
    """Where the ledger is that a command speaks of; not opened."""
    return _there(store, app_name, load_policy(policy))


def _there(store: str | None, app_name: str | None, policy: Policy) -> str:
    url = store or (None if app_name else policy.content.store) or _default_url(app_name, policy)
    path = url.removeprefix("sqlite:///").partition("?leases=")[0]
    if url.startswith("sqlite:///") and not Path(path).exists():
        hint = "run an agent with RunGuard first, or `runguard demo`; or name one with --store or --app"
        raise fail(f"there is no ledger at {path}: {hint}{_others()}", Exit.NO_LEDGER)
    return url


def _others() -> str:
    """The apps whose ledgers are where RunGuard keeps them, as the end of a sentence."""
    apps = sorted(path.stem for path in state_directory().glob("*.db") if path.is_file())
    return f" (there: {', '.join(apps)})" if apps else ""


def _default_url(app_name: str | None, policy: Policy) -> str:
    if app_name is None and policy.file is None and policy.content.app == "default":
        # files only: a link to a ledger that is gone is none
        found = [path for path in state_directory().glob("*.db") if path.is_file()]
        if found:
            return f"sqlite:///{max(found, key=lambda path: path.stat().st_mtime)}"
    return f"sqlite:///{default_path(app_name or policy.content.app)}"


def write_file(path: Path, text: str) -> None:
    """Write a file and say so on standard error."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise fail(f"{path} cannot be written: {error.strerror}", Exit.USAGE) from None
    err.print(f"Wrote {shown(str(path))}.", soft_wrap=True)


def show(as_json: bool, document: Any, text: Callable[[], None]) -> None:
    """Print a document or a text."""
    if as_json:
        sys.stdout.write(json_text(document) + "\n")
    else:
        text()
