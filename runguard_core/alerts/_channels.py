"""Channels: where messages go, with the secrets that were found in the environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from urllib.parse import urlsplit

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"


class ChannelKind(StrEnum):
    """How a destination is spoken to."""

    WEBHOOK = "webhook"
    PAGERDUTY = "pagerduty"
    SLACK = "slack"
    APPRISE = "apprise"


#: Kinds whose destinations know a message again by its id, so that a second copy does no harm.
KNOWS_AGAIN = frozenset({ChannelKind.WEBHOOK, ChannelKind.PAGERDUTY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One destination.

    Attributes:
        name: as events and lists name it; never a secret.
        url: where to; secret: signing key of a webhook, routing key of PagerDuty. Both stay out of `repr`, events and errors.
        per_minute_count: at most so many tries a minute, over all processes of the ledger; the others wait.
        timeout_seconds: of one request, from the look-up of the name to the last byte of the answer.
        allow_private, allow_http: whether private addresses, and plain http, may be spoken to.
        is_repeatable: whether a try whose fate is unknown is repeated by itself.
        missing: why it cannot be used in this process, "" where it can.
    """

    name: str
    kind: ChannelKind
    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    per_minute_count: int = 30
    timeout_seconds: float = 10.0
    allow_private: bool = False
    allow_http: bool = False
    is_repeatable: bool = False
    missing: str = ""


def name_of_url(url: str) -> str:
    """What a channel that a contact gives as a URL is called: the URL itself may hold a secret anywhere."""
    return f"{urlsplit(url).scheme or 'url'}-{blake2b(url.encode('utf-8', 'replace'), digest_size=4).hexdigest()}"


def channel_of_url(url: str) -> Channel:
    """A channel with everything at its default: an https address is a webhook (unsigned) or Slack's, the rest is for Apprise."""
    where = urlsplit(url)
    if where.scheme not in {"http", "https"}:
        return Channel(name=name_of_url(url), kind=ChannelKind.APPRISE, url=url)
    kind = ChannelKind.SLACK if where.hostname == "hooks.slack.com" else ChannelKind.WEBHOOK
    return Channel(name=name_of_url(url), kind=kind, url=url, is_repeatable=kind in KNOWS_AGAIN)


def with_urls(channels: Mapping[str, Channel], named: Iterable[str]) -> dict[str, Channel]:
    """Channels by name, those included that contacts give as URLs."""
    found = dict(channels)
    for url in named:
        if "://" in url:
            one = channel_of_url(url)
            found[one.name] = one
    return found
