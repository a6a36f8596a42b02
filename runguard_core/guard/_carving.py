"""A sub-agent's part: set aside in the accounts of its parent, spent in an account of its own, closed by what it really spent.

The part is one entry of the book, of a kind of its own, and costs nothing by itself: what the sub-agent's calls cost is in
their entries. While it is pending, it holds its limit in every account of that unit which the parent's calls touch. The
sub-agent's calls hold on the part's account *instead of* those. When it is closed, each of them is charged with what that
account has spent, also above the limit, and the rest returns. A crash lets it expire: it is assumed at its full size, and
corrected by whoever notices.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.budgets import Budget, Limit, Part, part_account, series_of
from runguard_core.calls import CallKind, ToolCall
from runguard_core.errors import StoppedError, StoreError
from runguard_core.guard import _refusing as refusing
from runguard_core.guard._callers import caller_of
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._latching import check_latches
from runguard_core.guard._parts import settle
from runguard_core.guard._preparing import plan_of
from runguard_core.guard._unverified import check_unverified, give_back
from runguard_core.ids import new_id
from runguard_core.ledger import CallRecord, Hold, Refusal, Store

if TYPE_CHECKING:
    from runguard_core.guard._engine import Engine

_log = logging.getLogger("runguard")


def carve(engine: Engine, who: Attribution, name: str, limit: Limit) -> Part | None:
    """Set a part aside for a sub-agent of this owner; None in mode OFF.

    Raises:
        RefusedError: a budget has no room for it. TrippedError: the parent is stopped, or the store cannot be asked.
    """
    part_id = new_id()
    caller = caller_of(engine, who, part_id)
    if caller is None:
        return None
    it = Candidate(ToolCall(name=name), part_id, caller, engine.clock.now(), engine.clock.monotonic())
    try:
        check_latches(engine, it)
        holds = _set_aside(engine, it, name, limit)
    except StoreError as error:
        try:
            check_unverified(engine, it, error, 0)
        except StoppedError:
            give_back(engine, it)
            raise
        holds = ()
        entry = replace(_entry(engine, it, name), unverified=True)
        engine.backlog.add_unverified(entry, holds, it.at + engine.hold_time, engine.owner)
    engine.dispatcher.start()
    made = _part(it, name, limit, holds)
    engine.parts.open(made)
    return made


def _set_aside(engine: Engine, it: Candidate, name: str, limit: Limit) -> tuple[Hold, ...]:
    """One atomic step over every account of the limit's unit that the parent's calls touch; what it holds."""
    plan, amounts = plan_of(engine, it), {limit.unit: limit.amount}
    holds, claims = plan.holds(amounts), plan.claims(amounts)
    said = [
        ev.event(ev.CHILD_OPENED, ev.NOTICE, f"sub-agent {name} may spend {limit}", it.who, it.at, call_id=it.call_id,
                 child=name, limit=str(limit.amount), unit=limit.unit.value)
    ]  # fmt: skip
    found = engine.store.reserve(
        _entry(engine, it, name), holds, expires_at=it.at + engine.hold_time, owner=engine.owner, events=said
    )
    if isinstance(found, Refusal):
        refusing.refuse_child(engine, it, found, claims, name)
    engine.dispatcher.send(said)
    if not plan.is_quiet:
        engine.announce(refusing.passed(engine, it, holds, claims, found))
    return holds


def _entry(engine: Engine, it: Candidate, name: str) -> CallRecord:
    who = replace(it.who, run=None) if it.caller.is_alone else it.who
    return CallRecord(
        id=it.call_id, kind=CallKind.CHILD, name=name, attribution=who, started_at=it.at, policy_hash=engine.rules.policy_hash
    )


def _part(it: Candidate, name: str, limit: Limit, holds: Sequence[Hold]) -> Part:
    who, outer, budget = it.who, it.caller.part, Budget(limit, name=f"sub-agent {name}")
    title = f"{budget.name}, session {who.session}" if who.session is not None else budget.name
    above = () if it.caller.is_alone or who.run is None else (who.run,)
    return Part(
        id=it.call_id, name=name, who=who, budget=budget, account=part_account(who.app, it.call_id, budget, title),
        carved=tuple([hold.account.key for hold in holds]),
        covers=frozenset([series_of(hold.account) for hold in holds]).union(outer.covers if outer is not None else ()),
        above=above + (outer.above if outer is not None else ()), is_enforced=it.enforced,
    )  # fmt: skip


# -- the end ------------------------------------------------------------------------------------------------------------


def close(engine: Engine, part: Part) -> None:
    """The sub-agent is over: charge what it spent, let the rest return. Never raises."""
    engine.parts.forget(part.id)

    def later(store: Store) -> object:
        return settle(store, part, engine.clock.now())

    if engine.backlog.waiting:
        engine.backlog.flush(engine.store)  # the sub-agent's own calls first
    try:
        if engine.backlog.waiting:
            engine.backlog.add(f"close sub-agent {part.id}", later)
        else:
            engine.dispatcher.send(settle(engine.store, part, engine.clock.now()))
    except (StoreError, LookupError) as error:
        _log.warning("RunGuard could not close %s, it will be written later: %s", part.budget.name, error)
        engine.backlog.add(f"close sub-agent {part.id}", later)
    except Exception:  # noqa: BLE001  closing is observing, and observing never raises
        _log.exception("RunGuard could not close %s; its part expires and is assumed in full", part.budget.name)
