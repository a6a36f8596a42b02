"""From a candidate to what the store is asked: price, plan, draft."""

from __future__ import annotations

from dataclasses import replace

from runguard_core.attribution import Attribution
from runguard_core.budgets import Part, Plan
from runguard_core.calls import ModelCall, ToolCall
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine
from runguard_core.guard._quoting import Priced, price_model_call, price_tool_call
from runguard_core.ledger import CallDraft
from runguard_core.usage import MOST_TOKENS


def price(engine: Engine, it: Candidate) -> Priced:
    """Quote the call and count it in its run; a model call learns its turn and tool loop on the way. Twice is harmless."""
    if it.priced is not None:
        return it.priced
    call, state, lane = it.call, it.state, it.lane
    if isinstance(call, ToolCall):
        priced = price_tool_call(engine.rules, call.name)
        turn, loop = lane.turn_count, lane.loop_count
        with state.lock:
            state.spent_nanos += priced.quote.nanos or 0
    else:
        limit = call.max_output_tokens
        if limit is not None and not (type(limit) is int and 0 <= limit <= MOST_TOKENS):
            # -1 is "no limit" to several servers; the rest is no limit at all
            call = it.call = replace(call, max_output_tokens=None)
        priced, is_turn = price_model_call(engine.rules, engine.learned, call, it.caller.who, it.at), call.is_turn
        with state.lock:
            turn, loop = state.count_model(call, lane, priced.quote.nanos or 0, is_turn=is_turn)
        it.turn = turn if is_turn else None
    it.priced, it.turn_number, it.loop_number = priced, turn or None, loop or None
    return priced


def plan_of(engine: Engine, it: Candidate) -> Plan:
    """The accounts the call touches: the caller's plan while it is good; a call with a say of its own gets one of its own."""
    caller, book, overrides = it.caller, engine.book, engine.store.overrides()
    landing = isinstance(it.call, ModelCall) and it.call.landing
    if book.is_by_turn or landing:
        once = book.plan(it.who, it.at, overrides, enforce=it.enforced, landing=landing)
        return _within(caller.part, once, enforce=it.enforced)
    plan = caller.plan
    if plan is None or not plan.holds_at(it.at, book.epoch, overrides):
        plan = book.known_plan(caller.who, it.at, overrides, enforce=it.enforced)
        plan = caller.plan = _within(caller.part, plan, enforce=it.enforced)
    return plan


def plan_for(engine: Engine, who: Attribution) -> Plan:
    """The accounts that calls of this owner would touch now, for those who only ask what is left."""
    return _within(engine.parts.of(who.run), engine.book.plan(who, engine.clock.now(), engine.store.overrides()))


def _within(part: Part | None, plan: Plan, *, enforce: bool = True) -> Plan:
    return plan if part is None else plan.within(part, enforce=enforce)


def draft_of(engine: Engine, it: Candidate, priced: Priced) -> CallDraft:
    """The row the ledger will keep of the call."""
    call, quote = it.call, priced.quote
    what = call if isinstance(call, ModelCall) else call.name
    return CallDraft(
        it.call_id, what, it.caller.who, it.turn_number, it.loop_number, it.at, quote.nanos, quote.is_bound,
        None if it.step is None else it.step.signature,
        engine.rules.policy_hash,
    )  # fmt: skip
