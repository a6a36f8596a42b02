"""`runguard ledger ...`: looking after the ledger itself."""

from __future__ import annotations

from typing import Annotated

import typer

from runguard_core.cli._app import AppOption, JsonOption, PolicyOption, StoreOption, app, errors, ledger_url, say, show
from runguard_core.cli._bars import told
from runguard_core.stores import Migrated, migrate

ledger_app = typer.Typer(no_args_is_help=True, help="Look after the ledger itself.")
app.add_typer(ledger_app, name="ledger")


@ledger_app.command("migrate")
def migrate_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done (files).")] = False,
    backup: Annotated[bool, typer.Option("--backup", help="Keep the old file beside the new one (files).")] = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a ledger that an older version has written to the layout of this one. Nothing else ever changes a ledger's version.

    Stop the programs that use the file first: the command refuses while somebody has it open. The new file takes the place of the
    old one in one step, after every line was compared; a kill before that leaves the old one whole.

    Example: [bold]runguard ledger migrate --store sqlite:///runguard.db --backup[/]
    """
    with errors():
        url = ledger_url(store, app_name, policy)
        with told("lines", is_shown=not as_json) as tell:
            found = migrate(url, dry_run=dry_run, backup=backup, tell=tell)
    document = {
        "ledger": url, "schema_before": found.before, "schema_after": found.after, "dry_run": dry_run, "calls": found.call_count,
        "lines": found.line_count, "bytes_before": found.bytes_before, "bytes_after": found.bytes_after, "backup": found.backup,
    }  # fmt: skip
    show(as_json, document, lambda: say(_sentence(url, found, dry_run=dry_run)))


def _sentence(url: str, found: Migrated, *, dry_run: bool) -> str:
    if found.before == found.after:
        return f"{url} is of version {found.after} already: nothing to do."
    what = f"{url}: {found.call_count:,} calls and {found.line_count:,} lines, version {found.before} to {found.after}"
    if dry_run:
        return f"{what}. Nothing was changed (--dry-run)."
    kept = f" The old file is {found.backup}." if found.backup else ""
    sizes = f", {found.bytes_before:,} bytes became {found.bytes_after:,}" if found.bytes_after else ""
    return f"{what}{sizes}.{kept}"
