"""The store cannot be asked: refuse, or admit and write it down later, as the policy says."""

from __future__ import annotations

import logging

from runguard_core import events as ev
from runguard_core.calls import OutcomeKind
from runguard_core.errors import StoppedError, StoreError, TrippedError
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine
from runguard_core.guard._preparing import draft_of, plan_of, price
from runguard_core.guard._quoting import Priced, asked_by
from runguard_core.guard._refusing import raise_stop, say_once
from runguard_core.guard._reservation import Reservation
from runguard_core.guard._rules import OnStoreError
from runguard_core.ledger import CallDraft, Hold, Settlement

_log = logging.getLogger("runguard")


def without_store(engine: Engine, it: Candidate, error: StoreError) -> Reservation:
    """Latches could not be read: the policy decides, as for a reserve that failed."""
    priced = price(engine, it)
    try:
        holds = plan_of(engine, it).holds(asked_by(it.call, priced.quote, is_new_turn=it.turn is not None))
    except StoreError:
        holds = ()
    return unverified(engine, it, error, priced, draft_of(engine, it, priced), holds, was_asked=False)


def after_fault(engine: Engine, it: Candidate, error: Exception) -> Reservation:
    """RunGuard itself failed: observed calls pass unmetered and said so, enforced ones as `on_store_error` says."""
    _log.error("RunGuard failed to admit call %s", it.call_id, exc_info=error)
    if it.enforced and engine.rules.on_store_error is not OnStoreError.ADMIT:
        raise_stop(
            it,
            TrippedError(
                scope=f"call {it.call_id}", rule="fault", verdict=f"RunGuard failed: {type(error).__name__}: {error}"[:300],
                since=it.at, how_to_clear='report it; on_store_error = "admit" lets such calls pass',
            ),
        )  # fmt: skip
    it.uncount()
    return Reservation.untracked(engine, it.call, it.call_id, it.who)


def unverified(
    engine: Engine,
    it: Candidate,
    error: StoreError,
    priced: Priced,
    draft: CallDraft,
    holds: tuple[Hold, ...],
    *,
    was_asked: bool = True,
) -> Reservation:
    """The store cannot be asked: refuse or admit as the policy says, and mark the call.

    Args:
        was_asked: it may have set the call aside all the same, and only its answer was lost.
    """
    try:
        check_unverified(engine, it, error, priced.quote.nanos or 0)
    except StoppedError:
        if was_asked:
            give_back(engine, it)
        raise
    draft.unverified = True
    engine.backlog.add_unverified(draft, holds, it.at + engine.hold_time, engine.owner)
    engine.dispatcher.start()
    it.is_admitted = True
    return Reservation(engine, it, priced, holds)


def check_unverified(engine: Engine, it: Candidate, error: StoreError, nanos: int) -> None:
    """Stop what cannot be set aside, unless the policy admits it.

    Args:
        nanos: its quote, which counts against the policy's cap on unverified spend.
    """
    policy = engine.rules.on_store_error
    within = engine.backlog.unverified_nanos + nanos <= engine.rules.degraded_limit_nanos
    admits = not it.enforced or policy is OnStoreError.ADMIT or (policy is OnStoreError.DEGRADED and within)
    message = f"the ledger cannot be asked ({error}); the call was {'admitted unverified' if admits else 'refused'}"
    say_once(engine, it, ev.STORE_FAILED, ev.WARN, message, type(error).__name__)
    if not admits:
        raise_stop(
            it,
            TrippedError(
                scope=f"store {error.store}", rule="store", verdict=str(error), since=it.at,
                how_to_clear='mend the store, or set on_store_error = "degraded" or "admit"',
            ),
        )  # fmt: skip
    _log.warning("RunGuard: %s", message)


def give_back(engine: Engine, it: Candidate) -> None:
    """Nobody knows whether a refused call was set aside: it is voided when the store answers again, and cannot arrive later."""
    closing = Settlement(at=it.at, outcome=OutcomeKind.FAILED, cost_nanos=0, error="refused: the ledger did not answer")
    engine.backlog.add_settlement(it.call_id, closing, "void")
    engine.dispatcher.start()
