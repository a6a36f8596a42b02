"""Commands that read the ledger: sessions, explain, report, budget, trips, verify."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from runguard_core.budgets import parse_limit
from runguard_core.cli import _render as render
from runguard_core.cli._answering import answering, answering_lines
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
    out,
    say,
    show,
)
from runguard_core.cli._bars import told
from runguard_core.cli._guarding import RUN_TAG
from runguard_core.cli._standing import say_standing, standing, standing_json
from runguard_core.cli._text import shown
from runguard_core.errors import PolicyError
from runguard_core.ledger import (
    AccountRow,
    CallFilter,
    CallRecord,
    EventFilter,
    LatchState,
    Store,
    Unit,
    conversation_of,
)
from runguard_core.policy import Policy
from runguard_core.reports import (
    account_json,
    event_json,
    explain,
    explained_json,
    latch_json,
    session_json,
    sessions,
)


def since_of(text: str | None, option: str = "--since") -> datetime | None:
    """So long ago ("24h", "7d", "90m"), or an ISO date or time."""
    if text is None:
        return None
    try:
        if re.fullmatch(r"\s*[\d.]+\s*[a-z]+\s*", text):
            found = parse_limit(text, key=option)
            if found.unit is Unit.SECONDS:
                return datetime.now(UTC) - timedelta(milliseconds=found.amount)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, PolicyError):
        raise PolicyError(key=option, expected=f'expected "24h", "7d" or 2026-11-24, got {text!r}') from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


SinceOption = Annotated[str | None, typer.Option("--since", help="24h, 7d, or a date such as 2026-11-24 (UTC).")]


@app.command("sessions")
def sessions_command(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    since: SinceOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List sessions with what they cost, the newest first.

    Example: [bold]runguard sessions --since 24h[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        where = CallFilter(app=app_name, since=since_of(since), limit=limit)
        calls = [call for key in opened.sessions(where) for call in _calls_of(opened, *key, where.since)]
        idle = timedelta(milliseconds=parse_limit(loaded.content.session_idle, key="session_idle").amount)
        rows = sessions(calls, opened.latches().values(), datetime.now(UTC), idle)[:limit]
        document = {"ledger": opened.url, "sessions": [session_json(row) for row in rows]}
        show(as_json, document, lambda: render.print_sessions(out, rows) if rows else out.print("No sessions yet."))


def _calls_of(opened: Store, app_name: str, conversation: str, since: datetime | None) -> list[CallRecord]:
    """The calls of a session, or of a run (or a call) that was of no session."""
    found = list(opened.calls(CallFilter(app=app_name, session=conversation, since=since)))
    found += opened.calls(CallFilter(app=app_name, run=conversation, since=since))
    alone = None if found else opened.call(conversation)
    found += [alone] if alone is not None else []
    unique = {call.id: call for call in found if conversation_of(call) == conversation}
    return sorted(unique.values(), key=lambda call: (call.started_at, call.id))


@app.command("explain")
def explain_command(
    session: Annotated[str | None, typer.Argument(callback=as_kept, help="The session's id; the latest when left out.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a session's money went: turns, tool loops, parts of the prompts, and what stopped it.

    Example: [bold]runguard explain s-42[/]
    """
    with ledger(store, app_name, policy) as (opened, _):
        if session is None:
            latest = opened.calls(CallFilter(app=app_name, limit=1))
            if not latest:
                raise fail(f"no call has been made yet in {opened.url}", Exit.FOUND_WRONG)
            session = latest[0].attribution.session or latest[0].attribution.run or ""
        calls, events = opened.calls(CallFilter(app=app_name, session=session)), opened.events(EventFilter(session=session))
        if not calls:  # a run of no session is listed under its own id
            calls = opened.calls(CallFilter(app=app_name, run=session))
            events = tuple(event for event in opened.events() if event.run == session)
        if not calls:
            raise fail(f"no calls of session {session!r} in {opened.url}; see `runguard sessions`", Exit.FOUND_WRONG)
        found = explain(session, calls, events)
        show(as_json, {"ledger": opened.url, **explained_json(found)}, lambda: render.print_explained(out, found))


@app.command("budget")
def budget_command(
    all_accounts: Annotated[bool, typer.Option("--all", help="Windows that have ended too.")] = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show limits, what is posted and pending, what is left, and when it frees.

    Example: [bold]runguard budget[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        now = datetime.now(UTC)
        opened.expire(now)
        live = [r for r in opened.accounts() if all_accounts or r.account.window_end is None or r.account.window_end > now]
        rows = [(budget_name(row, loaded), row) for row in live]
        sources = standing(ledger_url(store, app_name, policy), None)
        accounts = [account_json(row, name) for name, row in rows]
        document = {"ledger": opened.url, "accounts": accounts, "sources": [standing_json(one) for one in sources]}
        show(as_json, document, lambda: render.print_accounts(out, rows) if rows else out.print("No budgets used yet."))
        say_standing(sources)


_PARTS_OF_A_SUB_AGENTS_KEY = 3


def budget_name(row: AccountRow, policy: Policy) -> str | None:
    """The policy's name for an account: accounts are kept by what they limit."""
    import json  # noqa: PLC0415

    try:
        parts = json.loads(row.account.key)
        if len(parts) == _PARTS_OF_A_SUB_AGENTS_KEY:
            return "sub-agent"
        app_key, where, split, unit, period, _, _ = parts
    except ValueError:
        return None
    for budget in policy.rules.budgets:
        same = budget.limit.unit.value == unit and budget.period.value == period and sorted(budget.per) == [k for k, _ in split]
        if same and [list(pair) for pair in budget.where] == where:
            return budget.name
    if any(key.removeprefix("tag:") == RUN_TAG for key, _ in where):
        return "run --budget"
    names = [value for _, value in where] + [key for key, _ in split]
    return "-".join(names) or (period if period != "lifetime" else app_key)


@app.command("trips")
def trips_command(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many events.")] = 20,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who is stopped now and why, the latest stops, and who answers for them.

    Example: [bold]runguard trips[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        latches = sorted(opened.latches().values(), key=lambda latch: latch.since, reverse=True)
        events = [event for event in opened.events() if event.severity == "stop"][-limit:]
        document = {
            "ledger": opened.url,
            "latches": [latch_json(latch) for latch in latches],
            "events": [event_json(event) for event in events],
            "answering": (answers := answering(events, loaded)),
        }

        def text() -> None:
            shown = [latch for latch in latches if latch.state is not LatchState.HALF_OPEN or latch.scope_kind == "session"]
            render.print_latches(out, shown[:limit])
            if not shown:
                out.print("Nothing is stopped.")
            if shown:
                say('To let one go on: runguard reset KIND:ID --reason "..."; a budget needs a higher limit, or its next period.')
            if events:
                out.print("[italic]The latest stops[/]")
            render.print_stops(out, events)
            for line in answering_lines(answers):
                out.print(line, soft_wrap=True)

        show(as_json, document, text)


@app.command("verify")
def verify_command(
    store: StoreOption = None, app_name: AppOption = None, policy: PolicyOption = None, as_json: JsonOption = False
) -> None:
    """Recompute every balance from the entries; exit code 1 when the book contradicts itself.

    Example: [bold]runguard verify --store sqlite:///runguard.db[/]
    """
    with ledger(store, app_name, policy) as (opened, _):
        opened.expire(datetime.now(UTC))
        with told("lines", is_shown=not as_json) as tell:
            found = opened.verify(tell)
        counts = {"entries": tell.total or len(opened.entries()), "accounts": len(opened.accounts())}
        rows = [{"where": d.where, "recorded": d.recorded, "recomputed": d.recomputed} for d in found]
        document = {"ledger": opened.url, **counts, "discrepancies": rows}

        def text() -> None:
            for one in found:
                out.print(f"[red]{shown(one.where)}[/]: recorded {one.recorded}, recomputed {one.recomputed}")
            if not found:
                say(f"{opened.url}: {counts['entries']} entries and {counts['accounts']} accounts agree.")

        show(as_json, document, text)
        if found:
            raise typer.Exit(Exit.FOUND_WRONG)
