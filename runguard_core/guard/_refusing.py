"""Every way a call is stopped or noted: the errors raised, the latches set, the events said."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from runguard_core import breaker
from runguard_core import events as ev
from runguard_core.budgets import Claim, in_units, show_amount
from runguard_core.errors import (
    RETRY_AFTER_RESET,
    RETRY_NEVER,
    RETRY_WHEN_SETTLED,
    RefusedError,
    StoppedError,
    StoreError,
    TrippedError,
    UnknownModelError,
)
from runguard_core.ledger import Balance, Event, EventFilter, Hold, Latch, Refusal, Reserved, Unit
from runguard_core.money import format_usd

if TYPE_CHECKING:
    from runguard_core.detectors import Verdict
    from runguard_core.guard._candidate import Candidate
    from runguard_core.guard._engine import Engine

#: So many of the latest events are looked through for an announcement of another process.
_LOOKED_THROUGH = 1000


def raise_stop(it: Candidate, error: StoppedError) -> NoReturn:
    """Raise with what the run has to show for itself; a call that was not admitted makes no turn."""
    it.uncount()
    it.undo_turn()
    error.summary = it.state.summary()
    error.owner, error.runbook = it.caller.owner, it.caller.runbook
    raise error


def file_latch(engine: Engine, at: datetime) -> Latch:
    """The latch that the kill file stands for."""
    reason = f"the kill file {engine.kill_file} exists; delete it to go on"
    return breaker.kill("app", engine.rules.defaults.app, reason, "file", at)


def stop_for(engine: Engine, it: Candidate, latch: Latch) -> None:
    """A latch of the call's scopes is set: raise, or only say so when observing."""
    sentence = f"{latch.scope_kind} {latch.scope_id} is stopped: {latch.reason}"
    if not it.enforced:
        say_once(engine, it, ev.WOULD_TRIP, ev.WARN, sentence, latch.rule)
        return
    say_once(engine, it, ev.CALL_STOPPED, ev.STOP, sentence, f"{latch.scope_kind}:{latch.rule}")
    clear = breaker.how_to_clear(latch)
    raise_stop(
        it,
        TrippedError(
            scope=f"{latch.scope_kind} {latch.scope_id}", rule=latch.rule, verdict=latch.reason, since=latch.since,
            how_to_clear=clear,
        ),
    )  # fmt: skip


def trip(engine: Engine, it: Candidate, verdict: Verdict) -> NoReturn:
    """A stop verdict: latch the run, make the session's next run a probe, raise."""
    latches = breaker.trip(verdict, it.who, it.at)
    if it.caller.part is not None:
        del latches[1:]  # the next run of the session is not the sub-agent's
    said = [
        ev.event(ev.RUN_TRIPPED, ev.STOP, verdict.evidence, it.who, it.at, rule=verdict.rule,
                 spent_nanos=str(it.state.spent_nanos), call_id=it.call_id, tool=getattr(it.call, "name", None),
                 signature=it.signature, **facts_of(verdict))
    ]  # fmt: skip
    it.state.tripped = True
    engine.latch(latches, said)
    raise_stop(
        it,
        TrippedError(
            scope=f"run {it.who.run}", rule=verdict.rule, verdict=verdict.evidence, since=it.at,
            how_to_clear=breaker.how_to_clear(latches[0]),
        ),
    )  # fmt: skip


def facts_of(verdict: Verdict) -> dict[str, Any]:
    """The numbers behind a verdict's sentence, as facts of an event; amounts as strings."""
    figures = {name: str(value) if name.endswith("_nanos") else value for name, value in verdict.figures.items()}
    return {"repeat_count": verdict.repeat_count, **figures}


def refuse(engine: Engine, it: Candidate, refusal: Refusal, claims: list[Claim]) -> NoReturn:
    """A budget said no: say which and why; latch the run only when waiting for pending calls cannot help."""
    part = it.caller.part
    error = refused_error(refusal, claims, is_part=part is not None and refusal.hold.account.key == part.account.key)
    said = [_refused(it, refusal, error)]
    if error.retry == RETRY_WHEN_SETTLED:
        engine.announce(said)
    else:
        account = refusal.hold.account
        engine.latch([breaker.refuse(account.key, str(error), it.who, it.at, account.window_end)], said)
    raise_stop(it, error)


def refuse_child(engine: Engine, it: Candidate, refusal: Refusal, claims: list[Claim], name: str) -> NoReturn:
    """A budget has no room for a sub-agent's part. Latches nothing: the parent may go on without it, or with less."""
    error = refused_error(refusal, claims, child=name)
    engine.announce([_refused(it, refusal, error)])
    raise_stop(it, error)


def _refused(it: Candidate, refusal: Refusal, error: RefusedError) -> Event:
    return ev.event(
        ev.CALL_REFUSED, ev.STOP, str(error), it.who, it.at, budget=error.budget, unit=error.unit, limit=str(error.limit),
        posted=str(error.posted), pending=str(error.pending), requested=str(error.requested), retry=error.retry,
        model=getattr(it.call, "model", None), account=refusal.hold.account.key,
    )  # fmt: skip


def refused_error(refusal: Refusal, claims: list[Claim], *, child: str = "", is_part: bool = False) -> RefusedError:
    """The refusal with its arithmetic, in whole units."""
    hold, balance, unit = refusal.hold, refusal.balance, refusal.hold.account.unit
    limit = hold.limit or 0
    budget = min(
        (claim for claim in claims if claim.hold.account.key == hold.account.key and claim.hold.limit is not None),
        key=lambda claim: claim.hold.limit or 0,
    ).budget
    return RefusedError(
        budget=budget.name,
        unit=unit.value,
        scope=hold.account.title,
        limit=in_units(limit, unit),
        posted=in_units(balance.posted, unit),
        pending=in_units(balance.pending, unit),
        requested=in_units(hold.amount, unit),
        available=in_units(max(balance.available(limit), 0), unit),
        resets_at=hold.account.window_end,
        retry=retry_of(hold, balance),
        child=child,
        is_part=is_part,
    )


def retry_of(hold: Hold, balance: Balance) -> str:
    """When the same call may fit: once pending calls settle, in the next window, or never under this limit."""
    limit = hold.limit or 0
    if balance.pending and hold.amount <= limit - balance.posted:
        return RETRY_WHEN_SETTLED
    if hold.account.window_end is not None and hold.amount <= limit:
        return RETRY_AFTER_RESET
    return RETRY_NEVER


def unpriced(engine: Engine, it: Candidate, unknown: UnknownModelError, claims: list[Claim], *, deny: bool) -> None:
    """A model without a price: refused where an enforced USD budget counts it, marked elsewhere."""
    usd = [c for c in claims if c.hold.account.unit is Unit.USD and c.hold.limit is not None]
    if deny and usd:
        say_once(engine, it, ev.CALL_UNPRICED, ev.STOP, str(unknown), unknown.model[:80])
        raise_stop(
            it,
            TrippedError(
                scope=f"model {unknown.model[:200]}", rule="unpriced",
                verdict=f"budget {usd[0].budget.name!r} counts USD and {unknown}", since=it.at,
                how_to_clear='name a price, or set unpriced = "flag"',
            ),
        )  # fmt: skip
    say_once(engine, it, ev.CALL_UNPRICED, ev.WARN, str(unknown), unknown.model[:80])


def say_once(
    engine: Engine, it: Candidate, kind: str, severity: str, message: str, key: str, *, topic: str = "", **facts: Any
) -> bool:
    """Announce something once per run, rule and topic, however often it happens; whether it was now."""
    mark = f"{kind}:{key}:{topic}"
    with it.state.lock:
        if mark in it.state.announced:
            return False
        it.state.announced.add(mark)
    engine.announce([ev.event(kind, severity, message, it.who, it.at, rule=key, **facts)])
    return True


def passed(engine: Engine, it: Candidate, holds: tuple[Hold, ...], claims: list[Claim], result: Reserved) -> list[Event]:
    """Thresholds that this reserve passed, and observed limits that it would have broken."""
    said: list[Event] = []
    balances = {hold.account.key: balance for hold, balance in zip(holds, result.balances, strict=True)}
    for claim in claims:
        hold, limit = claim.hold, claim.hold.shown_limit
        if limit is None or (hold.limit is not None and not claim.budget.thresholds):
            continue
        balance = balances[hold.account.key]
        used = balance.posted + balance.pending
        if hold.limit is None and used > limit:
            said += _would_refuse(it, claim, used)
        said += _thresholds(engine, it, claim, used, used - hold.amount)
    return said


def _would_refuse(it: Candidate, claim: Claim, used: int) -> list[Event]:
    mark = f"{ev.WOULD_REFUSE}:{claim.hold.account.key}"
    with it.state.lock:
        if mark in it.state.announced:
            return []
        it.state.announced.add(mark)
    unit, limit = claim.hold.account.unit, claim.hold.shown_limit or 0
    message = (
        f"budget {claim.budget.name!r} ({claim.hold.account.title}) is observed; enforced it would have refused this "
        f"call: {show_amount(used, unit)} of {show_amount(limit, unit)}"
    )
    return [ev.event(ev.WOULD_REFUSE, ev.WARN, message, it.who, it.at, budget=claim.budget.name, used=str(used),
                     limit=str(limit), unit=unit.value)]  # fmt: skip


def _thresholds(engine: Engine, it: Candidate, claim: Claim, used: int, before: int) -> list[Event]:
    """Those that this call passes, and those that others have passed since this process looked and that nobody announced.

    Who spends leases learns of others' spend now and then, so that an account may jump over a mark between two calls.
    """
    said: list[Event] = []
    if not claim.budget.thresholds:
        return said
    limit, key = claim.hold.shown_limit or 0, claim.hold.account.key
    seen = engine.look(key, used)
    for share in claim.budget.thresholds:
        mark = limit * share
        is_passed = before < mark <= used
        is_jumped = not is_passed and seen is not None and seen < mark <= used
        if (is_passed or is_jumped) and engine.say_once((key, share)):
            if is_jumped and _is_announced(engine, claim, share):
                continue
            unit = claim.hold.account.unit
            message = (
                f"budget {claim.budget.name!r} ({claim.hold.account.title}) passed {share:.0%}: "
                f"{show_amount(used, unit)} of {show_amount(limit, unit)}"
            )
            if engine.rules.advise:
                it.state.remember("budget", message)
            said.append(ev.event(ev.BUDGET_THRESHOLD, ev.WARN, message, it.who, it.at, budget=claim.budget.name, account=key,
                                 share=str(share), used=str(used), limit=str(limit), unit=unit.value))  # fmt: skip
    return said


def _is_announced(engine: Engine, claim: Claim, share: Decimal) -> bool:
    """Whether the ledger has the announcement from another process; a ledger that cannot be asked has not."""
    try:
        since = claim.hold.account.window_start
        latest = engine.store.events(EventFilter(kinds={ev.BUDGET_THRESHOLD}, since=since, limit=_LOOKED_THROUGH))
    except StoreError:
        return False
    wanted = (ev.BUDGET_THRESHOLD, claim.hold.account.key, str(share))
    return any((event.kind, event.facts.get("account"), event.facts.get("share")) == wanted for event in latest)


def overrun_event(it: Candidate, quote_nanos: int, cost_nanos: int) -> Event:
    """A call cost more than was set aside for it."""
    above = cost_nanos - quote_nanos
    message = f"call {it.call_id} cost {format_usd(cost_nanos)}, {format_usd(above)} above its quote"
    return ev.event(ev.BUDGET_OVERRUN, ev.NOTICE, message, it.who, it.at, call_id=it.call_id, overrun_nanos=str(above))
