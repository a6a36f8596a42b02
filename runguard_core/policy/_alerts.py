"""`[alerts]` of the policy file: where alerts go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from runguard_core.alerts import (
    KNOWS_AGAIN,
    PAGERDUTY_URL,
    Alerting,
    Channel,
    ChannelKind,
    Source,
    threshold_source,
    with_urls,
)
from runguard_core.errors import PolicyError
from runguard_core.finops.owners import Registry
from runguard_core.policy._table import Table

#: Slack takes about one message a second from a webhook; the others more than anybody reads.
_PER_MINUTE_COUNT = 30


class ChannelTable(Table):
    """`[alerts.channels.NAME]`: one destination. Secrets are named by environment variables, never written here."""

    kind: Literal["webhook", "pagerduty", "slack", "apprise"]
    url: str | None = Field(default=None, description="of a webhook without a secret in it, or another region of PagerDuty")
    url_env: str | None = Field(default=None, description="environment variable with the URL: for slack, apprise, webhooks")
    secret_env: str | None = Field(default=None, description="environment variable with the key that signs a webhook")
    routing_key_env: str | None = Field(default=None, description="environment variable with PagerDuty's integration key")
    per_minute: int = Field(default=_PER_MINUTE_COUNT, ge=1, le=600, description="at most so many tries a minute; more wait")
    timeout_seconds: float = Field(default=10.0, ge=1, le=30, description="of one request, in all")
    allow_private: bool = Field(default=False, description="may be at a private, loopback or link-local address")
    allow_http: bool = Field(default=False, description="may be plain http")
    repeat_unknown: bool | None = Field(
        default=None,
        description="send again by itself what may have arrived; default: where that does no harm (webhook, pagerduty)",
    )


class AlertsTable(Table):
    """`[alerts]`: where alerts go."""

    thresholds: bool = Field(default=True, description="owners hear of budgets' thresholds; all else is in [escalation]")
    default: list[str] = Field(default=[], description="channels (or URLs) for people who have none")
    channels: dict[str, ChannelTable] = Field(default={})

    @property
    def is_set(self) -> bool:
        """Whether anything is sent at all."""
        return bool(self.channels or self.default)


def check_alerts(table: AlertsTable, named: Mapping[str, Iterable[str]]) -> None:
    """Channels are whole, and every name is one of theirs.

    Args:
        named: channels that other tables name, by the key that does; looked at where alerts are set at all.

    Raises:
        PolicyError: naming the key and what was expected.
    """
    for name, channel in table.channels.items():
        if "://" in name:
            raise PolicyError(key=f"alerts.channels.{name}", expected="expected a name, not a URL")
        _check_channel(f"alerts.channels.{name}", channel)
    known = ", ".join(table.channels) or "none"
    for key, names in {"alerts.default": table.default, **named}.items() if table.is_set else ():
        for name in names:
            if "://" not in name and name not in table.channels:
                expected = f"expected a channel of [alerts.channels] (known: {known}) or a URL, got {name!r:.80}"
                raise PolicyError(key=key, expected=expected)


def _check_channel(key: str, table: ChannelTable) -> None:
    kind = table.kind
    if kind == "pagerduty":
        if table.routing_key_env is None:
            raise PolicyError(key=f"{key}.routing_key_env", expected="expected the environment variable with the integration key")
    elif kind in {"slack", "apprise"}:
        if table.url_env is None or table.url is not None:
            expected = f"expected the environment variable with the URL, which is a secret of {kind}'s"
            raise PolicyError(key=f"{key}.url_env", expected=expected)
    elif (table.url is None) == (table.url_env is None):
        raise PolicyError(key=f"{key}.url", expected="expected one of url and url_env")
    for name, owner in (("secret_env", "webhook"), ("routing_key_env", "pagerduty")):
        if getattr(table, name) is not None and kind != owner:
            raise PolicyError(key=f"{key}.{name}", expected=f"is for kind {owner}, not for {kind}")


def alerting_of(table: AlertsTable, registry: Registry, ladder: Source, environ: Mapping[str, str] | None = None) -> Alerting:
    """Channels with the secrets of the environment; one whose variable is not set is there and says what is missing.

    Args:
        ladder: what the practice says, of `[escalation]`.
    """
    env = os.environ if environ is None else environ
    channels = {name: _channel(name, one, env) for name, one in table.channels.items()}
    urls = [*table.default]
    for contact in registry.contacts.values():
        urls += contact.channels
    for team in registry.teams.values():
        urls += team.channels
    sources = (ladder, threshold_source(registry)) if table.thresholds else (ladder,)
    return Alerting(channels=with_urls(channels, urls), default=tuple(table.default), registry=registry, sources=sources)


def _channel(name: str, table: ChannelTable, env: Mapping[str, str]) -> Channel:
    kind = ChannelKind(table.kind)
    variables = [one for one in (table.url_env, table.secret_env, table.routing_key_env) if one is not None]
    missing = [one for one in variables if not env.get(one)]
    url = env.get(table.url_env, "") if table.url_env is not None else table.url
    secret = table.secret_env or table.routing_key_env
    is_repeatable = kind in KNOWS_AGAIN if table.repeat_unknown is None else table.repeat_unknown
    return Channel(
        name=name, kind=kind, url=(url or (PAGERDUTY_URL if kind is ChannelKind.PAGERDUTY else "")).strip(),
        secret=env.get(secret, "").strip() if secret is not None else "", per_minute_count=table.per_minute,
        timeout_seconds=table.timeout_seconds, allow_private=table.allow_private, allow_http=table.allow_http,
        is_repeatable=is_repeatable,
        missing=f"environment variable {', '.join(missing)} is not set" if missing else "",
    )  # fmt: skip
