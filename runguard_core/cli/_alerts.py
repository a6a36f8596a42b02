"""`runguard alerts`: what was sent, and what was not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Annotated, Any

import typer

from runguard_core.alerts import (
    Channel,
    Judgement,
    Message,
    Result,
    State,
    all_messages,
    read_outbox,
    send_again,
    try_out,
    why_not,
)
from runguard_core.cli._acting import person
from runguard_core.cli._app import (
    AppOption,
    Exit,
    JsonOption,
    PolicyOption,
    StoreOption,
    app,
    errors,
    fail,
    ledger,
    out,
    say,
    show,
)
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.ledger import Store
from runguard_core.policy import Policy, load_policy

_now = partial(datetime.now, UTC)
_COLOURS = {State.SENT: "green", State.WAITING: "yellow", State.SENDING: "yellow", State.PERHAPS: "dark_orange"}
_SHOWN_ROWS = 50
alerts_app = typer.Typer(no_args_is_help=True, help="Try channels out; list what was sent and what was not; send it again.")
app.add_typer(alerts_app, name="alerts")
AllOption = Annotated[bool, typer.Option("--all", help="Every one of them.")]


@alerts_app.command("test")
def try_command(
    channel: Annotated[str | None, typer.Argument(help="A channel of [alerts.channels].")] = None,
    every: AllOption = False,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message to a channel, and say what the destination answered (exit code 1 where one did not take it).

    It goes past the outbox and needs no ledger. At PagerDuty it opens an incident of severity info and resolves it at once.

    Example: [bold]runguard alerts test ops[/]
    """
    with errors():
        loaded = load_policy(policy)
        channels = _chosen(loaded, channel, every=every)
        found = []
        for one in channels:
            result = try_out(one, loaded.content.app, _now)
            found.append({"channel": one.name, "kind": one.kind.value, "result": result.result.value, "reason": result.reason})
            if not as_json:
                say(_said(one, result))
        if as_json:
            show(as_json, {"tests": found}, lambda: None)
        if any(one["result"] != Result.SENT.value for one in found):
            raise typer.Exit(Exit.FOUND_WRONG)


def _chosen(loaded: Policy, channel: str | None, *, every: bool) -> list[Channel]:
    channels = loaded.alerting.channels
    if (channel is None) != every:
        raise fail("name one channel, or say --all", Exit.USAGE)
    if not channels:
        where = loaded.file or "the defaults (there is no policy file)"
        raise fail(f"{where} names no channel: add [alerts.channels.NAME]", Exit.USAGE)
    if channel is not None and channel not in channels:
        raise fail(f"no channel {channel!r} in {loaded.file}; known: {', '.join(channels)}", Exit.USAGE)
    return [one for key, one in channels.items() if channel in {None, key}]


def _said(channel: Channel, found: Judgement) -> str:
    words = {Result.SENT: "delivered", Result.UNKNOWN: "perhaps delivered", Result.FAILED: "not delivered"}
    return f"{channel.name} ({channel.kind.value}): {words[found.result]}; {found.reason}"


@alerts_app.command("list")
def list_command(
    undelivered: Annotated[bool, typer.Option("--undelivered", help="Only what has not certainly arrived.")] = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List messages, the newest first: sent, waiting for a try, perhaps delivered (no answer is known), undelivered.

    What a process did not live to queue is listed as waiting. Nothing is sent.

    Example: [bold]runguard alerts list --undelivered[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        now, alerting = _now(), loaded.alerting
        outbox = read_outbox(opened, app_name)
        rows = all_messages(opened, outbox, app_name or loaded.content.app, alerting, now)
        if undelivered:
            rows = [row for row in rows if row.state(now) is not State.SENT]
        reasons = {row.id: why_not(row, alerting.channels, now) for row in rows}
        document = {"ledger": opened.url, "messages": [_json(row, reasons[row.id], now) for row in rows]}
        show(as_json, document, lambda: _print(rows, reasons, now, loaded.rules.zone, undelivered=undelivered))


def _json(row: Message, reason: str, now: datetime) -> dict[str, Any]:
    due = row.due_at(now)
    return {
        "id": row.id, "state": row.state(now).value, "channel": row.channel, "to": row.notice.to, "level": row.notice.level,
        "step": row.notice.step.value, "urgency": row.notice.urgency.value, "title": row.notice.title, "text": row.notice.text,
        "app": row.app, "feature": row.notice.feature, "queued_at": row.queued_at.isoformat(), "try_count": row.try_count,
        "due_at": None if due is None else due.isoformat(), "reason": reason,
    }  # fmt: skip


def _print(rows: Sequence[Message], reasons: dict[str, str], now: datetime, zone: tzinfo, *, undelivered: bool) -> None:
    if not rows:
        out.print("Everything was delivered." if undelivered else "No alerts yet.")
        return
    columns = [
        Column("message"), Column("queued", spare=2), name("what"), name("to (by channel)"), figure("tries", spare=1),
        Column("state"),
    ]  # fmt: skip
    print_table(out, "Alerts, newest first", columns, [_cells(row, now, zone) for row in rows[:_SHOWN_ROWS]])
    if len(rows) > _SHOWN_ROWS:
        out.print(f"[dim]and {len(rows) - _SHOWN_ROWS:,} older ones: --json has all[/]")
    for reason in dict.fromkeys(filter(None, reasons.values())):
        ids = [key for key, said in reasons.items() if said == reason]
        more = f" and {len(ids) - 3:,} more" if len(ids) > 3 else ""
        out.print(f"[red]■[/] {shown(', '.join(ids[:3]))}{more}: {shown(reason)}")
    if any(row.state(now) in {State.PERHAPS, State.UNDELIVERED} for row in rows):
        out.print("Send one again: runguard alerts retry MESSAGE (what is perhaps delivered may then arrive twice)")


def _cells(row: Message, now: datetime, zone: tzinfo) -> tuple[str, ...]:
    state = row.state(now)
    colour = _COLOURS.get(state, "red")
    due = row.due_at(now)
    said = f"next try {due.astimezone(zone):%H:%M}" if due is not None and due > now else state.value
    return (
        row.id, f"{row.queued_at.astimezone(zone):%m-%d %H:%M}", shown(row.notice.title),
        shown(f"{row.notice.to} ({row.channel})"), str(row.try_count), f"[{colour}]{said}[/]",
    )  # fmt: skip


@alerts_app.command("retry")
def retry_command(
    message: Annotated[str | None, typer.Argument(help="The message's id, as `runguard alerts list` shows it.")] = None,
    every: AllOption = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send again, now, what has not certainly arrived; say what came of it (exit code 1 where something is still left).

    What is perhaps delivered may arrive twice: you decide. What another process is sending at this moment is left to it.

    Example: [bold]runguard alerts retry al-3f2c1b7a9d04e6aa[/]
    """
    if (message is None) != every:
        raise fail("name one message (runguard alerts list), or say --all", Exit.USAGE)
    with ledger(store, app_name, policy) as (opened, loaded):
        now, alerting = _now(), loaded.alerting
        rows = all_messages(opened, read_outbox(opened, app_name), app_name or loaded.content.app, alerting, now)
        chosen = [row for row in rows if message in {None, row.id}]
        if message is not None and not chosen:
            raise fail(f"no message {message!r} in {opened.url}; see `runguard alerts list`", Exit.FOUND_WRONG)
        found = []
        for row in reversed(chosen):  # the oldest first
            if message is None and row.state(now) is State.SENT:
                continue
            found.append(_retried(opened, row, rows, alerting.channels))
            if not as_json:
                _say_retried(found[-1])
        show(as_json, {"ledger": opened.url, "retried": found}, lambda: _conclude(found))
        if any(one["state"] != State.SENT.value for one in found):
            raise typer.Exit(Exit.FOUND_WRONG)


def _retried(opened: Store, row: Message, rows: Sequence[Message], channels: Mapping[str, Channel]) -> dict[str, str]:
    """Send a message again if that makes sense; what came of it."""
    state, channel = row.state(_now()), channels.get(row.channel)
    if state in {State.SENT, State.SENDING}:
        said = "was delivered before" if state is State.SENT else "somebody is sending it"
    elif channel is None or channel.missing:
        said = why_not(row, channels, _now())
    else:
        row = send_again(opened, row, channel, rows, now=_now, by=person())
        said = row.reason(_now()) or "delivered"
    return {"id": row.id, "channel": row.channel, "state": row.state(_now()).value, "reason": said}


def _say_retried(one: Mapping[str, str]) -> None:
    say(f"{one['id']} to {one['channel']}: {one['state']}; {one['reason']}")


def _conclude(found: Sequence[Mapping[str, str]]) -> None:
    left = sum(one["state"] != State.SENT.value for one in found)
    if not found:
        out.print("Everything was delivered.")
    elif left:
        say(f"{counted(left, 'message')} left: runguard alerts list --undelivered")
