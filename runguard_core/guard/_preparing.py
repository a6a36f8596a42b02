"""From a candidate to what the store is asked: price, claims, holds, record."""

from __future__ import annotations

from runguard_core.attribution import in_turn
from runguard_core.budgets import Asked, Claim
from runguard_core.calls import CallKind, ModelCall, ToolCall
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine
from runguard_core.guard._quoting import Priced, asked_by, price_model_call, price_tool_call
from runguard_core.ledger import CallRecord, Hold
from runguard_core.prices import Quote


def price(engine: Engine, it: Candidate) -> Priced:
    """Quote the call; a model call learns its turn and tool loop on the way."""
    if isinstance(it.call, ToolCall):
        it.who = in_turn(it.who, it.lane.turn_count or None, it.lane.loop_count or None)
        return price_tool_call(engine.rules, it.call.name)
    priced = price_model_call(engine.rules, engine.learned, it.call, it.who, it.at)
    with it.state.lock:
        turn, loop = it.state.next_turn(it.call, it.lane)
    it.turn = turn if it.call.is_turn else None
    it.who = in_turn(it.who, turn or None, loop or None)
    return priced


def claims_of(engine: Engine, it: Candidate, priced: Priced) -> list[Claim]:
    """What the call asks of every budget that applies."""
    is_new_turn = isinstance(it.call, ModelCall) and it.call.is_turn
    asked: Asked = asked_by(it.call, priced.quote, is_new_turn=is_new_turn)
    overrides = engine.store.overrides()
    return engine.book.claims(it.who, asked, it.at, overrides, enforce=it.enforced)


def merged(claims: list[Claim]) -> tuple[Hold, ...]:
    """One hold per account: two budgets on the same account hold once, under the tighter limit."""
    if len(claims) == 1:
        return (claims[0].hold,)
    found: dict[str, Hold] = {}
    for claim in claims:
        hold = claim.hold
        known = found.get(hold.account.key)
        found[hold.account.key] = hold if known is None else _tighter(known, hold)
    return tuple(found.values())


def _tighter(one: Hold, other: Hold) -> Hold:
    limits = [hold.limit for hold in (one, other) if hold.limit is not None]
    shown = [hold.shown_limit for hold in (one, other) if hold.shown_limit is not None]
    return Hold(one.account, one.amount, min(limits, default=None), min(shown, default=None))


def record_of(engine: Engine, it: Candidate, quote: Quote) -> CallRecord:
    """The row the ledger will keep of the call."""
    call = it.call
    if isinstance(call, ToolCall):
        return CallRecord(
            id=it.call_id, kind=CallKind.TOOL, name=call.name, attribution=it.who, started_at=it.at,
            quote_nanos=quote.nanos, quote_is_bound=True, signature=it.signature, policy_hash=engine.rules.policy_hash,
        )  # fmt: skip
    return CallRecord(
        id=it.call_id, kind=CallKind.MODEL, name=call.model, attribution=it.who, started_at=it.at,
        provider=call.provider, account=call.account, key_fingerprint=call.key_fingerprint, quote_nanos=quote.nanos,
        quote_is_bound=quote.is_bound, max_output_tokens=call.max_output_tokens, parts=call.parts,
        policy_hash=engine.rules.policy_hash,
    )  # fmt: skip
