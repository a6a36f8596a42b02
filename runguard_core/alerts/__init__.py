"""Alerts: an outbox in the ledger, and the destinations that it is delivered to."""

from runguard_core.alerts._messages import ALERT_KINDS, CLAIM_SECONDS, Message, Result, State, Try, absorb, fold
from runguard_core.alerts._outbox import message_id, queue, read_outbox

__all__ = [
    "ALERT_KINDS",
    "CLAIM_SECONDS",
    "Message",
    "Result",
    "State",
    "Try",
    "absorb",
    "fold",
    "message_id",
    "queue",
    "read_outbox",
]
