"""A program that is interrupted hundreds of times inside its calls, and then looks into its ledger.

`python -m tests.faults.interrupted KIND FILE`

A program of its own: the tests' coverage would be interrupted inside locks of its own.
"""

from __future__ import annotations

import random
import signal
import sys
from datetime import timedelta

from runguard_core import Guard
from runguard_core.ledger import CallFilter
from tests.faults.opening import opened, url_of
from tests.guard.spending import CENT, ONE, spend

INTERRUPTS = 400


def main(kind: str, path: str) -> None:
    """Raise where a promise is broken."""
    chance = random.Random(9)
    guard = Guard(app="x", store=opened(url_of(kind, path)), prices=CENT, daily_budget_usd=100_000)
    spend(guard, 1)
    sent = hits = 0

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        while hits < INTERRUPTS:
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00002, 0.0008))
                for _ in range(200):  # an interrupt inside a finalizer is swallowed by Python
                    with guard.model_call("cent", max_output_tokens=1) as call:
                        sent += 1
                        call.post(ONE)
            except KeyboardInterrupt:
                hits += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert spend(guard, 3) == 3
    guard.store.expire(guard._engine.clock.now() + timedelta(days=1))
    calls = guard.store.calls(CallFilter())
    assert sum(call.cost_nanos for call in calls) >= (sent + 4) * 10**7
    assert len(calls) <= sent + 4 + hits
    (day,) = [row.balance for row in guard.store.accounts()]
    assert day.posted >= (sent + 4) * 10**7
    if kind == "memory":  # no transactions: what an interrupt cuts in two may be counted twice, or stay set aside; never lost
        assert day.pending >= 0
    else:
        assert day.pending == 0
        assert guard.store.verify() == ()
    guard.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
