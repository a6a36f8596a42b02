"""`runguard raise`: another limit for an account, for a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from runguard_core.budgets import parse_limit, show_amount
from runguard_core.cli._acting import guard_on, person
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, as_kept, fail, ledger, say, show
from runguard_core.cli._deciding import (
    AgentOption,
    ByOption,
    DryOption,
    FeatureOption,
    ReasonOption,
    ending,
    said,
    scope_of,
)
from runguard_core.cli._reading import since_of
from runguard_core.cli._which_accounts import Wanted, wanted_accounts
from runguard_core.guard import Guard
from runguard_core.ledger import Unit


@app.command("raise")
def raise_command(
    limit: Annotated[str, typer.Argument(help='The limit from now on, in the budget\'s unit: "500 USD", "60 turns".')],
    reason: ReasonOption = "",
    budget: Annotated[str | None, typer.Option("--budget", help="The budget's name, as `runguard budget` shows it.")] = None,
    feature: FeatureOption = None,
    agent: AgentOption = None,
    session: Annotated[str | None, typer.Option("--session", callback=as_kept, help="Of this session.")] = None,
    user: Annotated[str | None, typer.Option("--user", callback=as_kept, help="Of this user.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only those that refused a call since: 1h, or a date.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="For so long (2h), or until a time; then the policy's.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All accounts that match, where several do.")] = False,
    by: ByOption = None,
    dry_run: DryOption = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a budget's account another limit, for a time or until its window ends; what the old one had stopped may go on.

    An account is a budget for one feature, session, user and window: tomorrow's has the policy's limit again.

    Example: [bold]runguard raise "500 USD" --budget feature-day --feature search --until 6h --reason "launch day"[/]
    """
    why, ends = said(reason), ending(until)
    with ledger(store, app_name, policy) as (opened, loaded):
        guard = guard_on(opened, loaded, app_name)
        dimensions = _dimensions(guard, feature, agent, session, user)
        wanted = Wanted(parse_limit(limit, key="LIMIT"), budget, since_of(since), dimensions)
        found = wanted_accounts(opened, loaded, wanted, datetime.now(UTC))
        if not found:
            raise fail("no account that is in use matches; `runguard budget` lists them", Exit.FOUND_WRONG)
        if len(found) > 1 and not every and not dry_run:
            titles = "; ".join(row.account.title for _, row in found[:5])
            raise fail(f"{len(found)} accounts match ({titles}): select further, or say --all", Exit.USAGE)
        rows = []
        for name, row in found:
            lifted = () if dry_run else guard.raise_limit(
                row, wanted.limit, reason=why, by=by or person(), budget=name or "", until=ends
            )  # fmt: skip
            rows.append({
                "account": row.account.title, "budget": name, "unit": row.account.unit.value,
                "before": None if row.limit is None else str(row.limit), "after": str(wanted.limit.amount),
                "lifted": [scope_of(latch) for latch in lifted],
            })  # fmt: skip
        document = {"dry_run": dry_run, "reason": why, "until": None if ends is None else ends.isoformat(), "accounts": rows}
        show(as_json, document, lambda: _say_raised(rows, ends, dry_run, wanted.limit.unit))


def _dimensions(guard: Guard, feature: str | None, agent: str | None, session: str | None, user: str | None) -> dict[str, str]:
    given = {"feature": feature, "agent": agent, "session": session, "user": None if user is None else guard.user_id(user)}
    return {key: value for key, value in given.items() if value is not None}


def _say_raised(rows: list[dict[str, Any]], ends: datetime | None, dry_run: bool, unit: Unit) -> None:
    shown: Callable[[str | None], str] = lambda amount: "none" if amount is None else show_amount(int(amount), unit)  # noqa: E731
    time = f" until {ends:%Y-%m-%d %H:%M}Z" if ends is not None else ""
    for row in rows:
        word = "would have" if dry_run else "has"
        say(f"{row['account']} {word} a limit of {shown(row['after'])} instead of {shown(row['before'])}{time}.")
        if row["lifted"]:
            say(f"  may go on: {', '.join(row['lifted'])}")
