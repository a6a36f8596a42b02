"""A guard that delivers alerts."""

from __future__ import annotations

import logging

from runguard_core.alerts._delivery import Delivery
from runguard_core.alerts._routing import Alerting
from runguard_core.clock import Clock
from runguard_core.guard import Guard

_log = logging.getLogger("runguard")


def attach(guard: Guard, alerting: Alerting, clock: Clock | None = None) -> Delivery:
    """Let a guard deliver its app's alerts: what it announces is queued and sent from one thread, until it is closed.

    Starts the thread, which first delivers what earlier processes have left.
    """
    for channel in alerting.channels.values():
        if channel.missing:
            _log.warning("RunGuard's alerts to %s wait: %s", channel.name, channel.missing)
    delivery = Delivery(guard.store, guard.app, alerting, clock)
    guard.listen(delivery.hear, kinds=alerting.kinds)
    guard.before_close(delivery.close)
    delivery.start()
    return delivery
