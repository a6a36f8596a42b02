"""`Reservation`: an admitted call, until it is posted or voided. Settling never raises into the user's program."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.calls import Call, Certainty, ModelCall, Outcome, OutcomeKind, ToolCall
from runguard_core.errors import LedgerError, StoreError
from runguard_core.guard._judging import end_step
from runguard_core.guard._refusing import overrun_event
from runguard_core.guard._settling import Charge, charge_of, settlement_of, void_of
from runguard_core.ledger import Applied, CallRecord, Event, Hold, Settlement
from runguard_core.prices import Quote, Rates
from runguard_core.usage import Usage

if TYPE_CHECKING:
    from runguard_core.guard._candidate import Candidate
    from runguard_core.guard._engine import Engine
    from runguard_core.guard._quoting import Priced

_log = logging.getLogger("runguard")


class Reservation:
    """Set aside for one call: `settle` it with its outcome, or use it with `with`.

    Attributes:
        call_id: the call's id.
        quote: what was set aside; None in mode OFF.
        attribution: who pays, with turn and loop filled in.
        max_output_tokens: lower the request's limit to this, where the adapter can; None: leave it.
        started: reading of the stopwatch at admission, seconds.
        settled: whether it has been posted or voided for good; is_abandoned: charged for want of an outcome.
        by: the adapter that reserved, "" for plain Python.
        is_claimed: an adapter further in has taken the call over, or part of the answer has been seen: nobody may.
    """

    __slots__ = (
        "_counted_nanos",
        "_engine",
        "_holds",
        "_it",
        "_rates",
        "_record",
        "attribution",
        "by",
        "call",
        "call_id",
        "is_abandoned",
        "is_claimed",
        "max_output_tokens",
        "quote",
        "settled",
        "settlement",
        "started",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        it: Candidate | None,
        priced: Priced | None,
        record: CallRecord | None,
        holds: tuple[Hold, ...],
    ) -> None:
        """Made by admission only."""
        self._engine, self._it, self._record, self._holds = engine, it, record, holds
        self._rates: Rates | None = priced.rates if priced else None
        self.quote: Quote | None = priced.quote if priced else None
        self._counted_nanos = (priced.quote.nanos or 0) if priced else 0
        self.max_output_tokens: int | None = None
        self.settled = self.is_abandoned = self.is_claimed = False
        self.by = ""
        self.settlement: Settlement | None = None
        self.started = engine.clock.monotonic()
        if it is not None:
            self.call, self.call_id, self.attribution = it.call, it.call_id, it.who

    @classmethod
    def untracked(cls, engine: Engine, call: Call, call_id: str, who: Attribution) -> Reservation:
        """For mode OFF: nothing is held, nothing will be posted."""
        made = cls(engine, None, None, None, ())
        made.call, made.call_id, made.attribution = call, call_id, who
        return made

    def is_of(self, engine: Engine) -> bool:
        """Whether it was made by this guard."""
        return self._engine is engine

    # -- ending -----------------------------------------------------------------------------------------------

    def settle(self, outcome: Outcome) -> None:
        """Close the call: post what it cost, or void it when nothing can have been billed. Twice is harmless."""
        if self.settled:
            return
        self.settled = True
        if self._it is None or self._record is None or self.quote is None:
            return
        try:
            self._close(self._it, self._record, self.quote, outcome)
        except Exception:  # noqa: BLE001  settling is observing, and observing never raises
            _log.exception("RunGuard could not settle call %s; its hold will be charged at the quote", self.call_id)
        finally:
            self._engine.pending.pop(self.call_id, None)
            if self._it.is_alone:
                self._engine.runs.forget(self._it.who.run or "")

    def post(self, usage: Usage | None = None, **facts: Any) -> None:
        """The call was completed. Without usage the quote is charged, marked estimated.

        Args:
            usage: what the provider reported.
            facts: further fields of `Outcome`.
        """
        self.settle(Outcome(kind=OutcomeKind.COMPLETED, usage=usage, **facts))

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

    def _close(self, it: Candidate, record: CallRecord, quote: Quote, outcome: Outcome) -> None:
        engine = self._engine
        at, seconds = engine.clock.now(), engine.clock.monotonic() - self.started
        if isinstance(it.call, ToolCall):
            outcome = end_step(engine, it, it.call, outcome)
        charge = self._charge(it, quote, outcome)
        if charge is None:
            self.settlement = void_of(outcome, at, seconds)
            self._write("void", it, self.settlement, ())
            return
        said = self._said(it, record, outcome, charge)
        self.settlement = settlement_of(outcome, charge, self._holds, at, seconds)
        self._write("post", it, self.settlement, said)
        reported = charge.certainty is Certainty.EXACT and not outcome.from_cache
        if reported and charge.usage is not None and isinstance(it.call, ModelCall):
            engine.learned.observe(it.who.agent or "", it.call, charge.usage)

    def _charge(self, it: Candidate, quote: Quote, outcome: Outcome) -> Charge | None:
        if isinstance(it.call, ToolCall):
            return Charge(quote.nanos or 0, None, Certainty.EXACT)
        engine = self._engine
        rates = self._answered_rates(it.call, outcome)
        return charge_of(outcome, quote, rates, it.call.service_tier, engine.learned.tokens_per_char(it.call.model))

    def _answered_rates(self, call: ModelCall, outcome: Outcome) -> Rates | None:
        """The rates of the model that answered (a dated snapshot, a fallback), else of the one asked for.

        Where the policy prices the name that was asked for, and not the one that answered, its price holds.
        """
        if outcome.model is None or outcome.model == call.model or self._it is None:
            return self._rates
        book = self._engine.rules.prices
        if book.override(call.model) is not None and book.override(outcome.model) is None:
            return self._rates
        try:
            return book.rates(outcome.model, call.provider, self._it.at)
        except LookupError:
            return self._rates

    def _said(self, it: Candidate, record: CallRecord, outcome: Outcome, charge: Charge) -> tuple[Event, ...]:
        said = []
        if charge.cost_nanos is not None and charge.cost_nanos > (record.quote_nanos or 0) and record.quote_nanos is not None:
            said.append(overrun_event(it, record, charge.cost_nanos))
        missing = isinstance(it.call, ModelCall) and outcome.kind is OutcomeKind.COMPLETED
        if missing and charge.certainty is Certainty.ESTIMATED:
            message = f"{record.name} answered without usage: the call is charged by estimate"
            said.append(ev.event(ev.USAGE_MISSING, ev.NOTICE, message, it.who, it.at, call_id=record.id))
        return tuple(said)

    def _write(self, verb: str, it: Candidate, settlement: Settlement, said: tuple[Event, ...]) -> None:
        engine = self._engine
        with it.state.lock:
            it.state.spent_nanos += (settlement.cost_nanos or 0) - self._counted_nanos
            self._counted_nanos = settlement.cost_nanos or 0
        try:
            if engine.backlog:
                engine.backlog.flush(engine.store)
            if self.is_abandoned:
                settled = engine.store.adjust(self.call_id, settlement, "the outcome became known later")
            else:
                settled = getattr(engine.store, verb)(self.call_id, settlement, said)
        except StoreError as error:
            _log.warning("RunGuard could not %s call %s, it will be written later: %s", verb, self.call_id, error)
            engine.backlog.add_settlement(self.call_id, settlement, verb)
            return
        except LedgerError as error:
            _log.warning("RunGuard: a contradiction in the ledger: %s", error)
            return
        if settled.applied is Applied.LATE:
            late = ev.event(ev.LATE_POST, ev.NOTICE, f"call {self.call_id} was posted after its hold had expired",
                            it.who, it.at, call_id=self.call_id)  # fmt: skip
            said = (*said, late)
            engine.announce([late])
        engine.dispatcher.send(said)


def _kind_of(error: BaseException) -> OutcomeKind:
    return OutcomeKind.FAILED if isinstance(error, Exception) else OutcomeKind.CANCELLED


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
