"""A simulated process: a program that makes calls through a store of its own, and what it has been told about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runguard_core.calls import Certainty, OutcomeKind
from runguard_core.guard._time import SteadyClock
from runguard_core.ledger import CallRecord, Hold, Settlement, Store
from runguard_core.testing._ledger_values import a_call
from tests.simulator.dying import Life
from tests.simulator.machine import Machine, SimulatedHost


@dataclass
class Sent:
    """A call that was admitted and sent to the provider.

    Attributes:
        holds: what was set aside.
        actual: what the provider charges, in every account; None: nothing, it never got there.
        asked_to_settle: the program has told the store, without hearing that it was heard.
    """

    call: CallRecord
    holds: tuple[Hold, ...]
    actual: int | None
    asked_to_settle: Settlement | None = None

    @property
    def overrun(self) -> int:
        """By how much it costs more than was set aside."""
        return max(0, (self.actual or 0) - self.holds[0].amount)

    def settlement(self, at: datetime) -> Settlement:
        """How it ended: the same each time the program says it."""
        if self.asked_to_settle is None:
            amounts = {} if self.actual is None else {hold.account.key: self.actual for hold in self.holds}
            kind = OutcomeKind.FAILED if self.actual is None else OutcomeKind.COMPLETED
            cost = self.actual or 0
            self.asked_to_settle = Settlement(at=at, outcome=kind, amounts=amounts, cost_nanos=cost, certainty=Certainty.EXACT)
        return self.asked_to_settle


@dataclass
class Client:
    """One process.

    Attributes:
        clock: the guard's, over the host's.
        store: what it calls.
        flying: calls that were sent and have not been settled, as far as it knows.
        heard: what was acknowledged: the amount posted for a call.
        unsure: a reserve whose answer was an error: it may have been applied; given_up: of those it will say no more than that.
    """

    life: Life
    machine: Machine
    host: SimulatedHost
    clock: SteadyClock
    store: Store
    flying: dict[str, Sent] = field(default_factory=dict)
    heard: dict[str, Sent] = field(default_factory=dict)
    unsure: list[tuple[CallRecord, tuple[Hold, ...]]] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)
    call_count: int = 0

    @property
    def holdings(self) -> Any:
        """What it has leased now; None while it has nothing."""
        leases = getattr(self.store, "_leases", None)
        return None if leases is None else leases.holdings

    @property
    def owner(self) -> str:
        """Under which id it has leases now; "" while it has none."""
        leases = getattr(self.store, "_leases", None)
        return leases.owner if leases is not None and leases.holdings is not None else ""

    @property
    def name(self) -> str:
        """Of the process."""
        return self.life.name

    def new_call(self, holds: Sequence[Hold]) -> CallRecord:
        """A call under an id of its own."""
        self.call_count += 1
        quote = holds[0].amount if holds else 0
        return a_call(f"{self.name}.{self.call_count}", at=self.clock.now(), quote=quote, session=None, run=self.name)
