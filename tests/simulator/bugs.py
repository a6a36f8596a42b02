"""The kept list of planted bugs. Each is found by the simulator within the seeds it names, or it is said why it cannot be."""

from __future__ import annotations

from runguard_core.stores import _sqlite
from tests.simulator.planting import Bug

BUGS: tuple[Bug, ...] = (
    Bug(
        "no limit check in a plain reserve", _sqlite,
        "if hold.limit is not None and hold.amount > balance.available(hold.limit):", "if False:",
        "spend passes the limit",
    ),
)  # fmt: skip
