"""One message to one channel: the right shape, the right way, an answer."""

from __future__ import annotations

from datetime import datetime

from runguard_core.alerts import _apprise
from runguard_core.alerts._answers import Answer
from runguard_core.alerts._channels import Channel, ChannelKind
from runguard_core.alerts._messages import Message
from runguard_core.alerts._posting import Line, post
from runguard_core.alerts._shapes import as_json, envelope, pagerduty_event, slack_message
from runguard_core.alerts._signing import signed_headers

_JSON = {"Content-Type": "application/json"}


def send(channel: Channel, message: Message, now: datetime, line: Line | None = None) -> Answer:
    """Send it; whatever happens is an answer.

    Args:
        now: for the signature. line: the connection in use, for whoever must cut it.
    """
    if channel.missing:
        return Answer(words=channel.missing, is_sent=False, is_final=True)
    if channel.kind is ChannelKind.APPRISE:
        return _apprise.send(channel, message)
    if channel.kind is ChannelKind.SLACK:
        return post(channel, as_json(slack_message(message)), _JSON, line)
    if channel.kind is ChannelKind.PAGERDUTY:
        event = pagerduty_event(message, channel.secret)
        if event is None:
            return Answer(words="PagerDuty takes incidents, and this is a report", is_sent=False, is_final=True)
        return post(channel, as_json(event), _JSON, line)
    body = as_json(envelope(message))
    headers = {**_JSON, "Idempotency-Key": message.id, **signed_headers(channel.secret, message.id, now, body)}
    return post(channel, body, headers, line)
