"""Five hundred worlds, the same every time: no promise is broken in any of them."""

from __future__ import annotations

import pytest

from tests.simulator.kinds import LEASED, PLAIN
from tests.simulator.running import run_seed

AT_ONCE = 50


@pytest.mark.parametrize("start", range(0, 500, AT_ONCE))
def test_leases_keep_their_promises_in_every_world(start: int) -> None:
    """Crashes at every I/O, power cuts, clocks that jump, answers that are lost, a ledger that is away, owners that come back."""
    calls = deaths = cuts = 0
    for seed in range(start, start + AT_ONCE):
        seen = run_seed(seed, kind=LEASED)
        calls, deaths, cuts = calls + seen.calls, deaths + seen.deaths, cuts + seen.cuts
    assert (calls > 20 * AT_ONCE, deaths > 2 * AT_ONCE, cuts > AT_ONCE // 2) == (True, True, True)  # that something was tried


def test_a_ledger_without_leases_keeps_its_promises_too() -> None:
    """The same faults, but for power cuts, which it says it may lose its last transactions in."""
    for seed in range(100):
        run_seed(seed, kind=PLAIN)


def test_a_seed_is_the_same_world_every_time() -> None:
    """Else a failure could not be looked at twice."""
    assert [run_seed(seed) for seed in (3, 4)] == [run_seed(seed) for seed in (3, 4)]
