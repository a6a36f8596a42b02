"""The life of a call up to the moment it may be sent: latches, detectors, quote, one atomic reserve."""

from __future__ import annotations

from runguard_core.attribution import Attribution
from runguard_core.calls import Call, ToolCall
from runguard_core.errors import RunguardError, StoreError
from runguard_core.guard import _refusing as refusing
from runguard_core.guard._attribution_checking import check_attribution
from runguard_core.guard._callers import caller_of
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine
from runguard_core.guard._judging import check_loops
from runguard_core.guard._latching import check_latches
from runguard_core.guard._preparing import draft_of, plan_of, price
from runguard_core.guard._quoting import Priced, asked_by, output_cap
from runguard_core.guard._reservation import Reservation
from runguard_core.guard._rules import Unpriced
from runguard_core.guard._setting_aside import set_aside
from runguard_core.guard._turning import begin, check_turn
from runguard_core.guard._unverified import after_fault, unverified, without_store
from runguard_core.ids import new_id
from runguard_core.ledger import Hold, Refusal


def admit(engine: Engine, call: Call, who: Attribution, call_id: str | None = None) -> Reservation:
    """Let the call pass and set its quote aside, or stop it.

    Raises:
        RefusedError: a budget has no room. TrippedError: a latch is set, a loop was seen, the store cannot be asked.
    """
    call_id = call_id or new_id()
    caller = caller_of(engine, who, call_id)
    if caller is None:
        return Reservation.untracked(engine, call, call_id, who)
    it = Candidate(call, call_id, caller, engine.clock.now(), engine.clock.monotonic())
    try:
        check_latches(engine, it)
        if engine.rules.attribution:
            check_attribution(engine, it)
        if isinstance(call, ToolCall):
            check_loops(engine, it, call)
        return _reserve(engine, it)
    except StoreError as error:
        return without_store(engine, it, error)
    except RunguardError:
        raise
    except Exception as error:  # noqa: BLE001  a fault of ours: the policy decides, not the traceback
        return after_fault(engine, it, error)


def _reserve(engine: Engine, it: Candidate) -> Reservation:
    """Quote the call and set it aside in every account it touches, in one step."""
    priced = price(engine, it)
    check_turn(engine, it, priced)
    plan, asked = plan_of(engine, it), asked_by(it.call, priced.quote, is_new_turn=it.turn is not None)
    if priced.unknown is not None and priced.rates is None:
        refusing.unpriced(engine, it, priced.unknown, plan.claims(asked), deny=engine.rules.unpriced is Unpriced.DENY)
    holds, draft = plan.holds(asked), draft_of(engine, it, priced)
    try:
        result = set_aside(engine, it, draft, holds)
    except StoreError as error:
        return unverified(engine, it, error, priced, draft, holds)
    if isinstance(result, Refusal):
        refusing.refuse(engine, it, result, plan.claims(asked))
    if not plan.is_quiet:
        engine.announce(refusing.passed(engine, it, holds, plan.claims(asked), result))
    return _admitted(engine, it, priced, holds)


def _admitted(engine: Engine, it: Candidate, priced: Priced, holds: tuple[Hold, ...]) -> Reservation:
    """The call may go: hand out the reservation, known to the heartbeat until it is settled."""
    it.is_admitted = True
    reservation = engine.pending[it.call_id] = Reservation(engine, it, priced, holds)
    engine.dispatcher.start()
    if engine.caps_output:
        reservation.max_output_tokens = output_cap(it.call, priced.quote)
    if it.turn_seen is not None or it.step is not None:
        begin(it)
    return reservation
