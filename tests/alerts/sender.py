"""A process that delivers the outbox of a ledger: `sender.py LEDGER SINK KIND [DIES_AT]`; killed hard at an event of that kind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from runguard_core import events as ev
from runguard_core.alerts import Alerting, Delivery, ladder_source
from runguard_core.finops import CALENDAR
from runguard_core.finops.owners import Ladder, Registry
from runguard_core.ledger import Event
from runguard_core.stores import open_store
from tests.alerts.values import Hands, a_channel


class Mortal:
    """A store that kills the process just before it would write an event of a kind."""

    def __init__(self, store: Any, dies_at: str) -> None:
        self._store, self._dies_at = store, dies_at

    def announce(self, events: Sequence[Event]) -> int:
        if any(event.kind == self._dies_at for event in events):
            os.kill(os.getpid(), signal.SIGKILL)
        found: int = self._store.announce(events)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def main(ledger: str, url: str, kind: str, dies_at: str = "") -> None:
    """Deliver from the first line on standard input to its end."""
    channel = a_channel(url, kind)
    alerting = Alerting(channels={"ops": channel}, default=("ops",), sources=(ladder_source(Registry(), Ladder(), CALENDAR),))
    clock = Hands(datetime.now(UTC)) if dies_at == ev.ALERT_QUEUED else None
    delivery = Delivery(Mortal(open_store(ledger), dies_at), "shop", alerting, clock)  # type: ignore[arg-type]  # a store in all but name
    print("ready", flush=True)
    sys.stdin.readline()
    if dies_at == ev.ALERT_QUEUED:  # what it has not heard itself it judges after five seconds
        delivery.look()
        clock.move(6)
        delivery.look()
    delivery.start()
    sys.stdin.read()
    delivery.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
