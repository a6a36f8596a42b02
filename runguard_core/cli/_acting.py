"""`runguard prices` and `runguard policy`; and in whose name a command acts."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from runguard_core.cli._app import (
    Exit,
    JsonOption,
    PolicyOption,
    app,
    errors,
    fail,
    out,
    say,
    show,
)
from runguard_core.cli._plan_json import limit_json
from runguard_core.cli._refreshing import refresh_prices
from runguard_core.cli._text import shown
from runguard_core.errors import PolicyError
from runguard_core.guard import Guard, load_refreshed_prices
from runguard_core.ledger import Store
from runguard_core.policy import STARTER, Policy, load_policy, notes, policy_schema
from runguard_core.prices import Rates


def person() -> str:
    """The name of whoever is at the keyboard."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def guard_on(opened: Store, loaded: Policy, app_name: str | None) -> Guard:
    """A guard on a ledger that is open, under its app's name."""
    from dataclasses import replace  # noqa: PLC0415

    rules = loaded.rules
    named = app_name or _app_of(opened, rules.defaults.app)
    return Guard(rules=replace(rules, defaults=replace(rules.defaults, app=named)), store=opened)


def _app_of(opened: Store, default: str) -> str:
    """Whose ledger it is: the policy's app, or the only one in it. To stop an app that nobody runs would stop nothing."""
    from runguard_core.ledger import CallFilter  # noqa: PLC0415

    apps = {call.attribution.app for call in opened.calls(CallFilter(limit=500))}
    if default in apps or not apps or (len(apps) > 1 and default != "default"):
        return default
    if len(apps) > 1:
        raise fail(f"the ledger is of several apps ({', '.join(sorted(apps))}): say which with --app", Exit.USAGE)
    return next(iter(apps))


@app.command("prices")
def prices_command(
    model: Annotated[str | None, typer.Argument(help="A model's name, as the request states it.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="openai, anthropic, google, aws, azure, ...")] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="First fetch the newest price list; the only network access.")
    ] = False,
    url: Annotated[str | None, typer.Option("--url", help="Where to fetch it; default: genai-prices' own address.")] = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what RunGuard charges for a model, and where the price comes from.

    Example: [bold]runguard prices claude-sonnet-4-5[/]
    """
    with errors():
        if model is None and not refresh:
            raise fail("name a model, or say --refresh", Exit.USAGE)
        refreshed = refresh_prices(url) if refresh else None
        load_refreshed_prices()
        if refreshed is not None and not (as_json and model):
            show(as_json, {"refreshed": refreshed}, lambda: say(refreshed))
        if model is None:
            return
        rates = load_policy(policy).rules.prices.rates(model, provider, datetime.now(UTC))
        rows = _price_rows(rates)
        document = {
            "model": rates.model_id, "provider": rates.provider_id, "source": rates.source,
            "context_window_tokens": rates.context_window_tokens, "usd_per_mtok": rows, "refreshed": refreshed,
        }  # fmt: skip

        def text() -> None:
            kinds = list(rows["standard"])
            title = shown(f"{rates.provider_id}/{rates.model_id}, USD per million tokens, {rates.source}")
            table = Table(title=title, title_justify="left", box=None, pad_edge=False)
            table.add_column("when")
            for kind in kinds:
                table.add_column(kind, justify="right")
            for name, row in rows.items():
                table.add_row(name, *(row[kind] for kind in kinds))
            out.print(table)

        show(as_json, document, text)


def _price_rows(rates: Rates) -> dict[str, dict[str, str]]:
    from runguard_core.reports import usd  # noqa: PLC0415
    from runguard_core.usage import Usage  # noqa: PLC0415

    million = 10**6
    probes = {
        "input": Usage(input_tokens=million),
        "cache read": Usage(input_tokens=million, cache_read_input_tokens=million),
        "cache write": Usage(input_tokens=million, cache_creation_input_tokens=million),
        "write 1h": Usage(input_tokens=million, cache_creation_input_tokens=million, cache_creation_1h_input_tokens=million),
        "output": Usage(output_tokens=million),
    }
    tables = {"standard": rates.base} | {f"prompt above {start:,}": table for start, table in rates.tiers}
    found = {name: {kind: usd(table.total(usage)) for kind, usage in probes.items()} for name, table in tables.items()}
    for tier, other in sorted(rates.by_service_tier.items()):
        found[f"service tier {tier}"] = {kind: usd(other.base.total(usage)) for kind, usage in probes.items()}
    return found


policy_app = typer.Typer(no_args_is_help=True, help="Check, show and start policy files.")
app.add_typer(policy_app, name="policy")
FileArgument = Annotated[Path | None, typer.Argument(help="The file; else RUNGUARD_POLICY, ./runguard.toml.")]


@policy_app.command("check")
def policy_check(file: FileArgument = None, as_json: JsonOption = False) -> None:
    """Read a policy as a guard would, and say what is wrong with it (exit code 2).

    Example: [bold]runguard policy check runguard.toml[/]
    """
    with errors():
        loaded = load_policy(file)
        for name in loaded.environments:
            _check_environment(file, name)
        names, said = [budget.name for budget in loaded.rules.budgets], notes(loaded, datetime.now(UTC))
        document = {
            "file": loaded.file, "hash": loaded.hash, "app": loaded.content.app, "budgets": names,
            "environments": list(loaded.environments), "notes": said,
        }  # fmt: skip

        def text() -> None:
            more = f", with [env] {', '.join(loaded.environments)}" if loaded.environments else ""
            where = loaded.file or "no policy file: the defaults"
            say(f"{where}: fine, {len(names)} budgets{more}, hash {loaded.hash}")
            for note in said:
                say(f"note: {note}")

        show(as_json, document, text)


def _check_environment(file: Path | None, name: str) -> None:
    """A mistake in [env.prod] is better found here than where it is first chosen."""
    try:
        load_policy(file, {**os.environ, "RUNGUARD_ENV": name})
    except PolicyError as error:
        raise PolicyError(file=f"{error.file} with [env.{name}]", key=error.key, expected=error.expected) from None


@policy_app.command("show")
def policy_show(file: FileArgument = None) -> None:
    """Print the policy that holds, with every layer and default filled in, as JSON.

    Limits that follow a budget or a metric are listed with what they come to, under "limits".
    """
    with errors():
        loaded = load_policy(file).in_force()
        content = loaded.content.model_dump(mode="json")
        content |= {"limits": [limit_json(one) for one in loaded.limits]} if loaded.limits else {}
        sys.stdout.write(json.dumps(content, indent=2) + "\n")


@policy_app.command("schema")
def policy_schema_command() -> None:
    """Print the JSON schema of the policy file, for editors."""
    sys.stdout.write(json.dumps(policy_schema(), indent=2) + "\n")


@policy_app.command("init")
def policy_init(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("runguard.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a policy to start from.

    Example: [bold]runguard policy init[/]
    """
    if file.exists() and not force:
        raise fail(f"{file} exists; --force overwrites it", Exit.USAGE)
    try:
        file.write_text(STARTER, encoding="utf-8")
    except OSError as error:
        raise fail(f"{file} cannot be written: {error.strerror}", Exit.USAGE) from None
    say(f"Wrote {file}. Next: runguard policy check {shlex.quote(str(file))}")
