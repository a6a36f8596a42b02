"""`Reservation`: an admitted call, until it is posted or voided. Settling never raises into the user's program."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.calls import Call, Certainty, ModelCall, Outcome, OutcomeKind, ToolCall
from runguard_core.errors import LedgerError, StoreError
from runguard_core.guard._judging import end_step
from runguard_core.guard._parts import settle as settle_part
from runguard_core.guard._refusing import overrun_event
from runguard_core.guard._settling import Charge, charge_of, settlement_of, void_of
from runguard_core.guard._turning import end_turn
from runguard_core.ledger import Applied, Event, Hold, Settlement, SettlementDraft
from runguard_core.prices import Quote, Rates
from runguard_core.usage import Usage
from runguard_core.wire import without_credentials

if TYPE_CHECKING:
    from runguard_core.guard._candidate import Candidate
    from runguard_core.guard._engine import Engine
    from runguard_core.guard._quoting import Priced

_log = logging.getLogger("runguard")
_EXACT, _ESTIMATED, _LATE = Certainty.EXACT, Certainty.ESTIMATED, Applied.LATE
_COMPLETED = OutcomeKind.COMPLETED


class Reservation:
    """Set aside for one call: `settle` it with its outcome, or use it with `with`.

    Attributes:
        call_id: the call's id.
        max_output_tokens: lower the request's limit to this, where the adapter can; None: leave it.
        started: reading of the stopwatch at admission, seconds.
        settled: whether it has been posted or voided for good; is_abandoned: charged for want of an outcome.
        by: the adapter that reserved, "" for plain Python.
        is_claimed: an adapter further in has taken the call over, or part of the answer has been seen: nobody may.
    """

    __slots__ = (
        "_closing", "_counted_nanos", "_engine", "_holds", "_it", "_priced", "_who", "by", "call", "call_id", "is_abandoned",
        "is_claimed", "max_output_tokens", "settled", "started",
    )  # fmt: skip

    _it: Candidate | None
    _who: Attribution

    def __init__(self, engine: Engine, it: Candidate, priced: Priced, holds: tuple[Hold, ...]) -> None:
        """Made by admission only."""
        self._engine, self._it, self._priced, self._holds = engine, it, priced, holds
        self.call, self.call_id, self.started = it.call, it.call_id, it.started
        self._counted_nanos = priced.quote.nanos or 0
        self.max_output_tokens: int | None = None
        self.settled = self.is_abandoned = self.is_claimed = False
        self.by = ""
        self._closing: SettlementDraft | None = None

    @classmethod
    def untracked(cls, engine: Engine, call: Call, call_id: str, who: Attribution) -> Reservation:
        """For mode OFF: nothing is held, nothing will be posted."""
        made = cls.__new__(cls)
        made._engine, made._it, made._who = engine, None, who  # noqa: SLF001  our own
        made.call, made.call_id, made.started = call, call_id, engine.clock.monotonic()
        made.max_output_tokens, made.by, made._closing = None, "", None  # noqa: SLF001  our own
        made.settled = made.is_abandoned = made.is_claimed = False
        return made

    @property
    def quote(self) -> Quote | None:
        """What was set aside; None in mode OFF."""
        return None if self._it is None else self._priced.quote

    @property
    def attribution(self) -> Attribution:
        """Who pays, with turn and loop filled in."""
        return self._who if self._it is None else self._it.who

    @property
    def owner(self) -> Attribution:
        """Who pays, whatever the turn."""
        return self._who if self._it is None else self._it.caller.who

    @property
    def settlement(self) -> Settlement | None:
        """How the call ended; None until then."""
        return None if self._closing is None else self._closing.record()

    def is_of(self, engine: Engine) -> bool:
        """Whether it was made by this guard."""
        return self._engine is engine

    # -- ending -----------------------------------------------------------------------------------------------

    def settle(self, outcome: Outcome) -> None:
        """Close the call: post what it cost, or void it when nothing can have been billed. Twice is harmless."""
        if self.settled:
            return
        self.settled = True
        it = self._it
        if it is None:
            return
        try:
            if outcome.error is not None:
                outcome = replace(outcome, error=without_credentials(outcome.error))
            self._close(it, outcome)
        except Exception:  # noqa: BLE001  settling is observing, and observing never raises
            _log.exception("RunGuard could not settle call %s; its hold will be charged at the quote", self.call_id)
        finally:
            self._engine.pending.pop(self.call_id, None)
            if it.caller.is_alone:
                self._engine.runs.forget(it.caller.who.run or "")

    def post(self, usage: Usage | None = None, **facts: Any) -> None:
        """The call was completed. Without usage the quote is charged, marked estimated.

        Args:
            usage: what the provider reported.
            facts: further fields of `Outcome`.
        """
        self.settle(Outcome(kind=_COMPLETED, usage=usage, **facts))

    def void(self, reason: str = "not sent") -> None:
        """Nothing was billed: the request did not leave, or was refused."""
        self.settle(Outcome(kind=OutcomeKind.FAILED, billed=False, error=reason))

    def abandon(self, seen_chars: int = 0) -> None:
        """Nobody will say how the call ended: charge what is known. A later `settle` still corrects it."""
        if not self.settled:
            self.settle(Outcome(kind=OutcomeKind.CANCELLED, output_chars=seen_chars, error="never closed"))
            self.settled, self.is_abandoned = False, True

    def __enter__(self) -> Self:
        """The reservation itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Unsettled at the end of the block: charged at the quote, as failed or as completed without usage."""
        if not self.settled:
            how = OutcomeKind.COMPLETED if error is None else _kind_of(error)
            self.settle(Outcome(kind=how, error=None if error is None else _short(error)))

    # -- how --------------------------------------------------------------------------------------------------

    def _close(self, it: Candidate, outcome: Outcome) -> None:
        engine, priced, call = self._engine, self._priced, it.call
        at, seconds = engine.clock.now(), engine.clock.monotonic() - self.started
        if isinstance(call, ToolCall):
            outcome = end_step(engine, it, call, outcome)
            self.call = it.call = ToolCall(name=call.name, tool_call_id=call.tool_call_id)  # its arguments are let go of here
            charge: Charge | None = Charge(priced.quote.nanos or 0, None, _EXACT)
        else:
            outcome = end_turn(engine, it, outcome)
            rates = priced.rates if outcome.model is None else self._answered_rates(call, outcome.model)
            charge = charge_of(outcome, priced.quote, rates, call.service_tier, priced.lesson.inputs.tokens_per_char)
        if charge is None:
            self._write(it, void_of(outcome, at, seconds), (), "void")
            return
        self._write(it, settlement_of(outcome, charge, self._holds, at, seconds), self._said(it, outcome, charge), "post")
        if engine.lookout is not None and not self.is_abandoned:
            engine.lookout.feed(self, self.started + seconds)
        usage, reported = charge.usage, charge.certainty is _EXACT and not outcome.from_cache
        if reported and usage is not None and not isinstance(call, ToolCall):
            with engine.learning:
                priced.lesson.observe(call, usage)

    def _answered_rates(self, call: ModelCall, answered: str) -> Rates | None:
        """The rates of the model that answered (a dated snapshot, a fallback), else of the one asked for.

        Where the policy prices the name that was asked for, and not the one that answered, its price holds.
        """
        if answered == call.model or self._it is None:
            return self._priced.rates
        book = self._engine.rules.prices
        if book.override(call.model) is not None and book.override(answered) is None:
            return self._priced.rates
        try:
            return book.rates(answered, call.provider, self._it.at)
        except LookupError:
            return self._priced.rates

    def _said(self, it: Candidate, outcome: Outcome, charge: Charge) -> tuple[Event, ...]:
        said: tuple[Event, ...] = ()
        quoted, cost = self._priced.quote.nanos, charge.cost_nanos
        if cost is not None and quoted is not None and cost > quoted:
            said = (overrun_event(it, quoted, cost),)
        if charge.certainty is _ESTIMATED and outcome.kind is OutcomeKind.COMPLETED and isinstance(it.call, ModelCall):
            message = f"{it.call.model} answered without usage: the call is charged by estimate"
            said = (*said, ev.event(ev.USAGE_MISSING, ev.NOTICE, message, it.who, it.at, call_id=it.call_id))
        return said

    def _write(self, it: Candidate, closing: SettlementDraft, said: tuple[Event, ...], verb: str) -> None:
        engine, cost, store = self._engine, closing.cost_nanos or 0, self._engine.store
        self._closing = closing
        with it.state.lock:
            it.state.spent_nanos += cost - self._counted_nanos
            self._counted_nanos = cost
        try:
            if engine.backlog.waiting:
                engine.backlog.flush(store)
            if self.is_abandoned:
                settled = store.adjust(self.call_id, closing, "the outcome became known later")
            else:
                settled = store.post(self.call_id, closing, said) if verb == "post" else store.void(self.call_id, closing, said)
        except (StoreError, LookupError) as error:  # unknown to the store: its own reserve still waits to be written
            _log.warning("RunGuard could not %s call %s, it will be written later: %s", verb, self.call_id, error)
            engine.backlog.add_settlement(self.call_id, closing, verb)
            return
        except LedgerError as error:
            _log.warning("RunGuard: a contradiction in the ledger: %s", error)
            return
        part = it.caller.part
        if part is not None and engine.parts.of(part.id) is None:  # a sub-agent's call that outlived its sub-agent
            settle_part(store, part, engine.clock.now())
        if settled.applied is _LATE:
            late = ev.event(ev.LATE_POST, ev.NOTICE, f"call {self.call_id} was posted after its hold had expired",
                            it.who, it.at, call_id=self.call_id)  # fmt: skip
            said = (*said, late)
            engine.announce([late])
        if said:
            engine.dispatcher.send(said)


def _kind_of(error: BaseException) -> OutcomeKind:
    return OutcomeKind.FAILED if isinstance(error, Exception) else OutcomeKind.CANCELLED


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
