"""Alerts: an outbox in the ledger, and the destinations that it is delivered to."""

from runguard_core.alerts._answers import Judgement
from runguard_core.alerts._attaching import attach
from runguard_core.alerts._by_hand import all_messages, send_again, try_out, why_not
from runguard_core.alerts._channels import KNOWS_AGAIN, PAGERDUTY_URL, Channel, ChannelKind, with_urls
from runguard_core.alerts._delivering import deliver
from runguard_core.alerts._delivery import Delivery
from runguard_core.alerts._messages import ALERT_KINDS, CLAIM_SECONDS, Message, Result, State, Try, absorb, fold
from runguard_core.alerts._outbox import message_id, queue, read_outbox
from runguard_core.alerts._routing import NOWHERE, Alerting, Source
from runguard_core.alerts._signing import verify_webhook
from runguard_core.alerts._speaking import ladder_source, threshold_source

__all__ = [
    "ALERT_KINDS",
    "CLAIM_SECONDS",
    "KNOWS_AGAIN",
    "NOWHERE",
    "PAGERDUTY_URL",
    "Alerting",
    "Channel",
    "ChannelKind",
    "Delivery",
    "Judgement",
    "Message",
    "Result",
    "Source",
    "State",
    "Try",
    "absorb",
    "all_messages",
    "attach",
    "deliver",
    "fold",
    "ladder_source",
    "message_id",
    "queue",
    "read_outbox",
    "send_again",
    "threshold_source",
    "try_out",
    "verify_webhook",
    "why_not",
    "with_urls",
]
