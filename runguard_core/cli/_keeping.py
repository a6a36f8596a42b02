"""`runguard forget` and `runguard prune`: what is no longer kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from runguard_core.cli._acting import guard_on, person
from runguard_core.cli._app import (
    AppOption,
    Exit,
    JsonOption,
    PolicyOption,
    StoreOption,
    app,
    as_kept,
    fail,
    ledger,
    ledger_url,
    say,
    show,
)
from runguard_core.cli._bars import told
from runguard_core.cli._deciding import ByOption, DryOption, ReasonOption
from runguard_core.cli._text import counted
from runguard_core.finops.why import forget, prune
from runguard_core.guard import Guard
from runguard_core.ledger import Forgotten, Pruned
from runguard_core.policy import Policy
from runguard_core.stores import open_forgetting, open_keeping


@contextmanager
def _settled_ledger(store: str | None, app_name: str | None, policy: Path | None) -> Iterator[tuple[Guard, Policy, str]]:
    """A guard on the ledger, in which every hold and lease that is overdue has been settled; its policy and its URL."""
    with ledger(store, app_name, policy) as (opened, loaded):
        opened.expire(datetime.now(UTC))
        yield guard_on(opened, loaded, app_name), loaded, ledger_url(store, app_name, policy)


@app.command("forget")
def forget_command(
    user: Annotated[str, typer.Option("--user", callback=as_kept, help="The id, as the program gave it.")],
    reason: ReasonOption = "",
    by: ByOption = None,
    dry_run: DryOption = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace a user's id by a pseudonym wherever the ledger keeps it; no sum changes but the user's own name in it.

    Finds the id as it came and as a digest (hash_users). What programs write about the user later is kept under the id again.

    Example: [bold]runguard forget --user u-4711 --reason "request of 24 November"[/]
    """
    if not reason.strip():
        raise fail("say why: --reason ...", Exit.USAGE)
    with _settled_ledger(store, app_name, policy) as (guard, _, url):
        keeper = open_forgetting(url)
        try:
            pseudonym, found = forget(
                keeper, {user, guard.user_id(user, hashed=True)}, app=guard.app, reason=reason, by=by or person(),
                at=datetime.now(UTC), dry_run=dry_run,
            )  # fmt: skip
        finally:
            keeper.close()
        document = {"dry_run": dry_run, "pseudonym": pseudonym, "reason": reason, **asdict(found)}
        show(as_json, document, lambda: _say_forgotten(pseudonym, found, dry_run))


def _say_forgotten(pseudonym: str, found: Forgotten, dry_run: bool) -> None:
    if found == Forgotten():
        say("The ledger knows no such user.")
        return
    word = "would be" if dry_run else "is now"
    say(f"The user {word} {pseudonym}: {counted(found.call_count, 'call')} in {counted(found.session_count, 'session')}, "
        f"{counted(found.account_count, 'account')}, {counted(found.event_count, 'event')}.")  # fmt: skip
    if found.in_use_count:
        say(f"{counted(found.in_use_count, 'account')} with calls in flight or leases keep the id for now: run this again later.")


@app.command("prune")
def prune_command(
    days: Annotated[int | None, typer.Option("--days", min=7, help="Keep so many; else [retention] calls_days.")] = None,
    reason: ReasonOption = "retention",
    by: ByOption = None,
    dry_run: DryOption = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drop the rows of old calls and keep what they add up to: totals, balances, statements and reviews stay as they are.

    Run it daily where the policy has [retention] calls_days.

    Example: [bold]runguard prune --days 90 --dry-run[/]
    """
    with _settled_ledger(store, app_name, policy) as (guard, loaded, url):
        kept = days if days is not None else loaded.content.retention.calls_days
        if kept is None:
            raise fail("say how many days are kept: --days, or calls_days under [retention] in the policy", Exit.USAGE)
        now = datetime.now(UTC)
        before = loaded.calendar.day(now - timedelta(days=kept)).start
        keeper = open_keeping(url)
        try:
            with told("calls", is_shown=not as_json) as tell:
                found = prune(keeper, before, app=guard.app, reason=reason, by=by or person(), at=now, dry_run=dry_run, tell=tell)
        finally:
            keeper.close()
        document = {"dry_run": dry_run, "before": before.isoformat(), "reason": reason, **asdict(found)}
        show(as_json, document, lambda: _say_pruned(before, found, dry_run))


def _say_pruned(before: datetime, found: Pruned, dry_run: bool) -> None:
    if not found.call_count:
        say(f"No settled call is older than {before:%Y-%m-%d %H:%M}Z.")
        return
    word = "would be" if dry_run else "were"
    many = f"{counted(found.call_count, 'call')} and {counted(found.line_count, 'line')} before {before:%Y-%m-%d %H:%M}Z"
    stays = "what they add up to would stay." if dry_run else f"{found.sum_count:,} sums stand for them."
    say(f"{many} {word} dropped; {stays}")
