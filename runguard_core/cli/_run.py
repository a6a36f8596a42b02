"""`runguard run`: an unchanged program under guard, and its bill."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from runguard_core.budgets import parse_limit
from runguard_core.cli import _render as render
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, err, errors, fail
from runguard_core.cli._guarding import RUN_TAG
from runguard_core.cli._text import counted, shown
from runguard_core.ids import new_id
from runguard_core.ledger import CallFilter, CallRecord
from runguard_core.money import format_usd
from runguard_core.policy import load_policy
from runguard_core.reports import spend_json, spending, total
from runguard_core.stores import open_store

_BOOTSTRAP = Path(__file__).parent / "_bootstrap"


@app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_command(
    command: Annotated[list[str], typer.Argument(help="The program, after --.")],
    budget: Annotated[str | None, typer.Option("--budget", help='Limit of this run: "5 USD", "40 turns", ...')] = None,
    session: Annotated[str | None, typer.Option("--session", help="Session id; a fresh one when left out.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run an unchanged Python program under guard, then print its bill.

    The program's own exit code is passed on; 4 when a stop ended it.

    Example: [bold]runguard run --budget "5 USD" -- python agent.py[/]
    """
    with errors():
        if budget is not None:
            parse_limit(budget, key="--budget")
        loaded = load_policy(policy)
    run, started = new_id(), datetime.now(UTC)
    name = app_name or (loaded.content.app if loaded.content.app != "default" else app_of(command))
    with tempfile.TemporaryDirectory(prefix="runguard-") as folder:
        path = Path(folder) / "report"
        env = _environment(run, session or f"run-{run}", budget, store, name, loaded.file, path)
        code = _wait(_program(command), env)
        facts = _facts(path)
    calls, url = _calls(facts, run, started, name)
    _print_bill(calls, facts, url, as_json=as_json, code=code)
    raise typer.Exit(_exit_code(facts, code))


def app_of(command: Sequence[str]) -> str:
    """The program's name stands for the app where no policy names one: its script, its module, else the command itself."""
    first, *rest = command
    is_python = Path(first).name.startswith("python")
    script = next((part for part in rest if part.endswith(".py")), None)
    if script is None and is_python and "-m" in rest[:-1]:
        script = rest[rest.index("-m") + 1]
    if script is None and is_python and "-c" not in rest:
        values = {index + 1 for index, part in enumerate(rest) if part in {"-X", "-W"}}
        script = next((part for index, part in enumerate(rest) if not part.startswith("-") and index not in values), None)
    return Path(script or first).stem or "default"


def _program(command: Sequence[str]) -> list[str]:
    """`python` means the interpreter RunGuard is installed in."""
    first, *rest = command
    return [sys.executable if first in {"python", "python3"} else first, *rest]


def _environment(
    run: str, session: str, budget: str | None, store: str | None, name: str, policy: str | None, report: Path
) -> dict[str, str]:
    """What the program's processes are guarded by, in whatever directory they run."""
    env = dict(os.environ)
    paths = [str(_BOOTSTRAP), *filter(None, [env.get("PYTHONPATH")])]
    env |= {
        "PYTHONPATH": os.pathsep.join(paths), "RUNGUARD_RUN_ID": run, "RUNGUARD_RUN_SESSION": session,
        "RUNGUARD_RUN_REPORT": str(report), "RUNGUARD_APP": name,
    }  # fmt: skip
    optional = {
        "RUNGUARD_RUN_BUDGET": budget,
        "RUNGUARD_STORE": store,
        "RUNGUARD_POLICY": policy and str(Path(policy).resolve()),
    }
    return env | {key: value for key, value in optional.items() if value}


def _wait(command: list[str], env: dict[str, str]) -> int:
    """Run it; Ctrl-C is the program's to handle, SIGTERM is passed on."""
    try:
        process = subprocess.Popen(command, env=env)  # noqa: S603  the user's own command is what this is for
    except OSError as error:
        raise fail(f"cannot run {command[0]}: {error.strerror}", Exit.USAGE) from None
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    term = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, term)
    return code if code >= 0 else 128 - code


def _facts(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            with contextlib.suppress(ValueError):  # a process that was killed while it wrote
                facts |= json.loads(line)
    return facts


def _exit_code(facts: dict[str, Any], code: int) -> int:
    """The program's own, 4 when a stop ended it; a stop of a process it started, and that it dealt with, did not."""
    return Exit.STOPPED if code and "stopped" in facts else code


def _calls(facts: dict[str, Any], run: str, started: datetime, name: str) -> tuple[list[CallRecord], str | None]:
    url = facts.get("store")
    if url is None or url == "memory://":
        return [], url
    with errors():
        opened = open_store(url)
        try:
            since = started - timedelta(seconds=5)
            found = opened.calls(CallFilter(app=name, since=since))
        finally:
            opened.close()
    return [call for call in found if call.attribution.value(f"tag:{RUN_TAG}") == run], url


def _print_bill(calls: list[CallRecord], facts: dict[str, Any], url: str | None, *, as_json: bool, code: int) -> None:
    whole = total(calls)
    sessions = list(dict.fromkeys(call.attribution.session or "" for call in calls))
    if as_json:
        document = {
            "exit_code": _exit_code(facts, code), "ledger": url, "sessions": sessions,
            "total": spend_json(whole), "by_model": [spend_json(row) for row in spending(calls, "model", UTC)],
            "stopped": facts.get("stopped"), "unguarded": facts.get("unguarded"),
        }  # fmt: skip
        err.print_json(json.dumps(document))
        return
    err.rule("RunGuard", align="left", style="dim")
    if facts.get("stopped"):
        err.print(f"[bold red]Stopped before the next request.[/] {shown(facts['stopped'])}", highlight=False)
    if "unguarded" in facts:
        err.print(f"[bold yellow]Not guarded:[/] {shown(facts['unguarded'])}")
    if not calls and not facts.get("stopped"):
        _warn_unmetered(facts)
        return
    err.print(
        f"[bold]{format_usd(whole.nanos)}[/] ({render.certainty_note(whole)}): {counted(whole.call_count, 'model call')}, "
        f"{counted(whole.tool_count, 'tool call')}, {whole.usage.input_tokens:,} tokens in, {whole.usage.output_tokens:,} out",
        highlight=False,
    )
    for row in spending(calls, "model", UTC):
        err.print(f"  {shown(row.key)}: {format_usd(row.nanos)} in {counted(row.call_count, 'call')}", highlight=False)
    place = f"--store {shlex.quote(str(url))}"
    ways = [f"runguard explain {shlex.quote(sessions[-1])} {place}"] if sessions else []
    if facts.get("stopped"):
        ways += [f"runguard trips {place}", 'runguard run --budget "MORE USD" -- ...']
    err.print("Next: " + "\n      ".join(shown(way) for way in ways), soft_wrap=True)


def _warn_unmetered(facts: dict[str, Any]) -> None:
    hooked = ", ".join(facts.get("hooked", [])) or "none"
    if facts.get("store") == "memory://":
        err.print("[yellow]The ledger was in memory only: there is no bill.[/] Name a file with --store.")
    elif "store" not in facts and "unguarded" not in facts:
        err.print("[bold yellow]Nothing was guarded:[/] the program is not Python, or started with -S, -I or -E.")
    elif "store" in facts:
        err.print(
            f"[bold yellow]Nothing was metered.[/] The program made no call that RunGuard can see (hooked: {shown(hooked)}). "
            "Does it use one of them, in this environment? `runguard doctor` tells what is here."
        )
