"""Advice: what was warned of, and what budgets leave, as a short note that the agent itself can read."""

from __future__ import annotations

from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.budgets import Claim, in_units, show_amount
from runguard_core.guard._engine import Engine
from runguard_core.guard._preparing import plan_for
from runguard_core.ledger import Balance, Unit
from runguard_core.money import format_usd

#: Budgets that a note speaks of: the tightest ones.
_MAX_BUDGETS = 3
_WHAT_TO_DO = "Change your approach, or finish now with what you have."


def advice_for(engine: Engine, who: Attribution) -> str | None:
    """The note for a run that has been warned since its last one; None for all others, and where the policy wants no notes.

    Each warning is told once. What was told is an event.
    """
    state = engine.runs.known(who.run) if engine.rules.advise and who.run is not None else None
    if state is None or not state.advice:
        return None
    with state.lock:
        told, state.advice = state.advice, []
    if not told:
        return None
    left = _left(engine, who if who.session is not None else who.with_values(session=who.run))
    warned = " ".join(sentence[0].upper() + sentence[1:] + "." for _, sentence in told)
    note = f"{warned}{f' Left: {left}.' if left else ''} {_WHAT_TO_DO}"
    rules = [rule for rule, _ in told]
    engine.announce([ev.event(ev.ADVISED, ev.NOTICE, note, who, engine.clock.now(), rule=rules[0], rules=rules)])
    return note


def _left(engine: Engine, who: Attribution) -> str:
    """What the tightest enforced budgets leave, in words; "" without one."""
    plan = plan_for(engine, who)
    claims = [claim for claim in plan.claims(dict.fromkeys(Unit, 0)) if claim.hold.limit is not None]
    balances = engine.store.balances([claim.hold.account.key for claim in claims])
    known = [(claim, balances[claim.hold.account.key]) for claim in claims if claim.hold.account.key in balances]
    known.sort(key=lambda pair: pair[1].available(pair[0].hold.limit or 0) / max(1, pair[0].hold.limit or 0))
    return ", ".join(_of(claim, balance) for claim, balance in known[:_MAX_BUDGETS])


def _of(claim: Claim, balance: Balance) -> str:
    limit, unit = claim.hold.limit or 0, claim.hold.account.unit
    left = max(0, balance.available(limit))
    if unit is Unit.USD:
        return f"{format_usd(left)} of {format_usd(limit)} (budget {claim.budget.name!r})"
    return f"{in_units(left, unit):,f} of {show_amount(limit, unit)} (budget {claim.budget.name!r})"
