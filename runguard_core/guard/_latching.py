"""The latches that stop a call: a person's kill switch, a trip, an earlier refusal; of its scopes, and of those above it."""

from __future__ import annotations

from runguard_core import breaker
from runguard_core.attribution import Attribution
from runguard_core.calls import ModelCall
from runguard_core.errors import StoreError
from runguard_core.guard import _refusing as refusing
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine
from runguard_core.ledger import Latch, LatchState


def check_latches(engine: Engine, it: Candidate) -> None:
    """Kill switch first, then every latch of the call's scopes, and for a sub-agent those of the runs it hangs below.

    Raises:
        TrippedError: one of them stops it.
    """
    if it.started >= engine.no_kill_file_until and engine.is_killed_by_file(it.started):
        refusing.stop_for(engine, it, refusing.file_latch(engine, it.at))
    try:
        latches = engine.latches = engine.store.latches()
    except StoreError:  # the policy may admit calls now, but not those that are known to be stopped
        _check(engine, it, engine.latches)
        raise
    if latches:
        _check(engine, it, latches)
        probe = (
            breaker.probe(latches, it.who) if it.caller.part is None else None
        )  # its parent's run is on probation, not its own
        it.state.is_probe = probe is not None and _is_next_run(probe, latches, it.who)


def _check(engine: Engine, it: Candidate, latches: breaker.Latches) -> None:
    found, part = breaker.blocking(latches, it.who, it.at), it.caller.part
    if found is None and part is not None:
        found = breaker.blocking_above(latches, part.above, it.at)
    if found is not None and not _may_land(it, found):
        refusing.stop_for(engine, it, found)


def _may_land(it: Candidate, latch: Latch) -> bool:
    """The one last, tool-less call after a refusal may use the landing allowance."""
    call = it.call
    if not isinstance(call, ModelCall) or not call.landing or call.tool_count or latch.account_key is None:
        return False
    with it.state.lock:
        first, it.state.landed = not it.state.landed, True
    return first


def _is_next_run(probe: Latch, latches: breaker.Latches, who: Attribution) -> bool:
    own = latches.get(("run", who.run)) if who.run is not None else None
    return own is None and probe.state is LatchState.HALF_OPEN
