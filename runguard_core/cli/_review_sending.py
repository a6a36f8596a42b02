"""`runguard review ... --send`: once a reader and period, through the alerts' outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import typer

from runguard_core.alerts import NOWHERE, Alerting, Message, State, deliver, message_id, queue, read_outbox
from runguard_core.cli._acting import person
from runguard_core.cli._app import Exit, err, fail
from runguard_core.cli._text import counted, shown
from runguard_core.finops.owners import Notice
from runguard_core.ledger import Store
from runguard_core.policy import Policy


def send(opened: Store, loaded: Policy, notices: Sequence[Notice]) -> None:
    """Queue what was not queued before, and try to deliver it at once; say on standard error what came of each.

    What is not delivered stays in the outbox: programs under guard go on trying, and so does `runguard alerts retry`.

    Raises:
        typer.Exit: code 1: there was nobody to send to, or something was not delivered.
    """
    if not notices:
        raise fail("nobody to send it to: name owners in [features], or readers with --to", Exit.FOUND_WRONG)
    alerting, late = loaded.alerting, 0
    for notice in notices:
        for channel in alerting.channels_for(notice):
            said = _sent(opened, alerting, notice, channel)
            late += said.startswith("not sent")
            err.print(shown(f"to {notice.to} through {channel}: {said}"), soft_wrap=True)
    if late:
        err.print(shown(f"{counted(late, 'message')} not delivered; see: runguard alerts list"), soft_wrap=True)
        raise typer.Exit(Exit.FOUND_WRONG)


def _sent(opened: Store, alerting: Alerting, notice: Notice, channel: str) -> str:
    if channel == NOWHERE:
        return "not sent: name a channel for them in [contacts], or alerts.default"
    is_new = queue(opened, notice, channel)
    message = read_outbox(opened, notice.app)[message_id(notice, channel)]
    if not is_new:
        return "was sent before" if message.state(_now()) is State.SENT else "not sent, but in the outbox already"
    return _delivered(opened, alerting, message)


def _delivered(opened: Store, alerting: Alerting, message: Message) -> str:
    """Try once, now."""
    channel = alerting.channels.get(message.channel)
    if channel is None:
        return f"not sent: [alerts.channels] has no {message.channel!r}"
    messages = read_outbox(opened, message.app)
    _, said = deliver(opened, channel, message, messages.values(), now=_now, by=person())
    opened.announce(said)
    now = read_outbox(opened, message.app)[message.id]
    return "sent" if now.state(_now()) is State.SENT else f"not sent yet: {now.reason(_now())}"


def _now() -> datetime:
    return datetime.now(UTC)
