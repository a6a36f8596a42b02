"""The life of a call up to the moment it may be sent: latches, detectors, quote, one atomic reserve."""

from __future__ import annotations

from runguard_core import breaker
from runguard_core.attribution import DIMENSIONS, UNATTRIBUTED, Attribution
from runguard_core.budgets import Claim, Mode
from runguard_core.calls import Call, ModelCall, ToolCall
from runguard_core.errors import RunguardError, StoreError
from runguard_core.guard import _refusing as refusing
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine
from runguard_core.guard._judging import check_loops
from runguard_core.guard._preparing import claims_of, merged, price, record_of
from runguard_core.guard._quoting import Priced, output_cap
from runguard_core.guard._reservation import Reservation
from runguard_core.guard._rules import Unpriced
from runguard_core.guard._unverified import after_fault, unverified, without_store
from runguard_core.ids import new_id
from runguard_core.ledger import CallRecord, Hold, Latch, LatchState, Refusal, Reserved


def admit(engine: Engine, call: Call, who: Attribution, call_id: str | None = None) -> Reservation:
    """Let the call pass and set its quote aside, or stop it.

    Raises:
        RefusedError: a budget has no room. TrippedError: a latch is set, a loop was seen, the store cannot be asked.
    """
    mode = engine.rules.mode_of(who.agent)
    call_id = call_id or new_id()
    if mode is Mode.OFF:
        return Reservation.untracked(engine, call, call_id, who)
    is_alone = who.run is None
    who = _placed(engine, who, call_id)
    state = engine.runs.state(who)
    it = Candidate(call, call_id, who, engine.clock.now(), mode, state, engine.runs.lane(state, who), is_alone=is_alone)
    try:
        _check_latches(engine, it)
        if isinstance(call, ToolCall):
            check_loops(engine, it, call)
        return _reserve(engine, it)
    except StoreError as error:
        return without_store(engine, it, error)
    except RunguardError:
        raise
    except Exception as error:  # noqa: BLE001  a fault of ours: the policy decides, not the traceback
        return after_fault(engine, it, error)


def _placed(engine: Engine, who: Attribution, call_id: str) -> Attribution:
    """A call outside any run is a run of its own; a run without a session is its own session."""
    if who.run is None:
        who = who.with_values(run=call_id)
    elif who.session is None:
        who = who.with_values(session=who.run)
    if who.owner is None and who.agent is not None and engine.rules.agent_owners:
        who = who.with_values(owner=engine.rules.agent_owners.get(who.agent))
    return _complete(engine, who) if engine.rules.require else who


def _complete(engine: Engine, who: Attribution) -> Attribution:
    """Attribution that the policy requires and the call lacks is filed as such, so that reports can show its share."""
    missing = [key for key in engine.rules.require if who.value(key) is None]
    fields = {key: UNATTRIBUTED for key in missing if key in DIMENSIONS}
    tags = {key.removeprefix("tag:"): UNATTRIBUTED for key in missing if key not in DIMENSIONS}
    return who.with_values(**fields, tags=tags) if missing else who


def _check_latches(engine: Engine, it: Candidate) -> None:
    """Kill switch first, then every latch of the call's scopes."""
    if engine.is_killed_by_file():
        refusing.stop_for(engine, it, refusing.file_latch(engine, it.at))
    latches = engine.store.latches()
    if not latches:
        return
    found = breaker.blocking(latches, it.who, it.at)
    if found is not None and not _may_land(it, found):
        refusing.stop_for(engine, it, found)
    probe = breaker.probe(latches, it.who)
    it.state.is_probe = probe is not None and _is_next_run(probe, latches, it.who)


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


def _reserve(engine: Engine, it: Candidate) -> Reservation:
    """Quote the call and set it aside in every account it touches, in one step."""
    priced = price(engine, it)
    claims = claims_of(engine, it, priced)
    if priced.unknown is not None and priced.rates is None:
        refusing.unpriced(engine, it, priced.unknown, claims, deny=engine.rules.unpriced is Unpriced.DENY)
    holds = merged(claims)
    record = record_of(engine, it, priced.quote)
    try:
        result = engine.store.reserve(record, holds, expires_at=engine.expires_at(it.at), owner=engine.owner)
    except StoreError as error:
        return unverified(engine, it, error, priced, record, holds)
    if isinstance(result, Refusal):
        refusing.refuse(engine, it, result, claims)
    assert isinstance(result, Reserved)
    return _admitted(engine, it, priced, record, holds, claims, result)


def _admitted(
    engine: Engine,
    it: Candidate,
    priced: Priced,
    record: CallRecord,
    holds: tuple[Hold, ...],
    claims: list[Claim],
    result: Reserved,
) -> Reservation:
    """The call may go: count it, announce what was passed, hand out the reservation."""
    state = it.state
    with state.lock:
        if isinstance(it.call, ModelCall):
            state.call_count += 1
        state.spent_nanos += priced.quote.nanos or 0
    engine.dispatcher.start()
    said = refusing.passed(engine, it, holds, claims, result)
    if said:
        engine.announce(said)
    reservation = Reservation(engine, it, priced, record, holds)
    engine.pending[it.call_id] = reservation
    reservation.max_output_tokens = output_cap(it.call, priced.quote, engine.rules)
    if it.step is not None:
        it.lane.watch.begin(it.step)
    return reservation
