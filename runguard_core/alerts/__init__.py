"""Alerts: an outbox in the ledger, and the destinations that it is delivered to."""

from runguard_core.alerts._attaching import attach
from runguard_core.alerts._channels import KNOWS_AGAIN, PAGERDUTY_URL, Channel, ChannelKind, with_urls
from runguard_core.alerts._delivering import deliver
from runguard_core.alerts._delivery import Delivery
from runguard_core.alerts._messages import ALERT_KINDS, CLAIM_SECONDS, Message, Result, State, Try, absorb, fold
from runguard_core.alerts._outbox import message_id, queue, read_outbox
from runguard_core.alerts._routing import NOWHERE, Alerting, Source
from runguard_core.alerts._signing import verify_webhook
from runguard_core.alerts._speaking import TOPICS, events_source

__all__ = [
    "ALERT_KINDS",
    "CLAIM_SECONDS",
    "KNOWS_AGAIN",
    "NOWHERE",
    "PAGERDUTY_URL",
    "TOPICS",
    "Alerting",
    "Channel",
    "ChannelKind",
    "Delivery",
    "Message",
    "Result",
    "Source",
    "State",
    "Try",
    "absorb",
    "attach",
    "deliver",
    "events_source",
    "fold",
    "message_id",
    "queue",
    "read_outbox",
    "verify_webhook",
    "with_urls",
]
