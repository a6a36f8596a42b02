"""`Session`: a conversation as its user holds it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from runguard_core import breaker
from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.budgets import Asked, Budget, parse_limit
from runguard_core.calls import Call, Outcome
from runguard_core.errors import PolicyError
from runguard_core.guard import _ambient
from runguard_core.guard._admitting import admit
from runguard_core.guard._deciding import set_limit
from runguard_core.guard._preparing import plan_for
from runguard_core.guard._reservation import Reservation
from runguard_core.ids import new_id
from runguard_core.ledger import Account, CallFilter, CallRecord, Latch, Unit
from runguard_core.money import nanos_to_usd
from runguard_core.usage import Usage

if TYPE_CHECKING:
    from runguard_core.guard._child import Child
    from runguard_core.guard._engine import Engine


class Session:
    """A conversation: calls made inside its `with` block (sync or async) belong to it.

    Each entry of the block is one run, unless an adapter names its own.

    Attributes:
        id: the conversation's id; attribution: what its calls carry.
    """

    def __init__(self, engine: Engine, attribution: Attribution) -> None:
        """Made by `Guard.session`."""
        self._engine, self.attribution = engine, attribution
        self._entered: list[tuple[object, float]] = []

    @property
    def id(self) -> str:
        """The conversation's id."""
        return self.attribution.session or self.attribution.run or ""

    def child(self, limit: object, *, name: str = "sub-agent", agent: str | None = None, **more: Any) -> Child:
        """A sub-agent with a part of this session's budgets of its own, to be entered with `with` or `async with`.

        While it runs, its part is set aside in every account of that unit which this session's calls touch; what it leaves
        returns at the end. It cannot pass its limit, and nobody else can take its part.

        Args:
            limit: written like a budget's: "0.10 USD", "20k tokens", "10 turns".
            name: for messages and reports; agent: whose its calls are, `name` when left out.
            more: further attribution of its calls: user, feature, team, owner, tags.

        Raises:
            PolicyError: no such limit. Entering it raises RefusedError where a budget has no room for the part.
        """
        from runguard_core.guard._child import Child  # noqa: PLC0415  a child is a session

        return Child(self, parse_limit(limit), name, agent=agent or name, **more)

    # -- calls without a framework --------------------------------------------------------------------------------

    def reserve(self, call: Call, **attribution: Any) -> Reservation:
        """Set a call's quote aside before it is sent.

        Raises:
            StoppedError: the call must not be sent.
        """
        who = self.attribution
        return admit(self._engine, call, who.with_values(**attribution) if attribution else who)

    def post(self, reservation: Reservation, usage: Usage | None = None, **facts: Any) -> None:
        """The call was completed; without usage its quote is charged."""
        reservation.post(usage, **facts)

    def void(self, reservation: Reservation, reason: str = "not sent") -> None:
        """Nothing was billed."""
        reservation.void(reason)

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        """Post or void, whichever the outcome calls for."""
        reservation.settle(outcome)

    # -- reading --------------------------------------------------------------------------------------------------

    def calls(self) -> tuple[CallRecord, ...]:
        """The session's calls in the ledger, those of its sub-agents among them, oldest first."""
        found = self._engine.store.calls(CallFilter(app=self.attribution.app, session=self.id))
        return tuple([call for call in found if call.is_paid])

    @property
    def spent_usd(self) -> Decimal:
        """Posted so far, in USD (what a crash left unknown is in it at its quote)."""
        return nanos_to_usd(sum(call.cost_nanos for call in self.calls()))

    @property
    def available_usd(self) -> Decimal | None:
        """What the tightest enforced USD budget leaves this session now; None without one."""
        engine = self._engine
        holds = plan_for(engine, self.attribution).holds({Unit.USD: 0})
        limits = {hold.account.key: hold.limit for hold in holds if hold.limit is not None}
        balances = engine.store.balances(limits)
        left = [balances[key].available(limit) for key, limit in limits.items()]
        return nanos_to_usd(max(min(left), 0)) if left else None

    @property
    def stopped(self) -> Latch | None:
        """The latch that stops this session's current run; None when it may go on."""
        return self._engine.stopping(self.attribution)

    # -- a person's decisions -------------------------------------------------------------------------------------

    def raise_limit(
        self, limit: object, *, budget: str | None = None, by: str = "", reason: str = "", until: datetime | None = None
    ) -> None:
        """Set the limit of one of this session's budgets to `limit`, and let what it had stopped go on.

        Args:
            limit: the new limit, written like a budget's.
            budget: its name; may be left out when only one budget of that unit applies.
            by, reason, until: who, why, and when the policy's limit holds again.

        Raises:
            PolicyError: no such budget, or more than one.
        """
        wanted = parse_limit(limit)
        found, account = self._budget(wanted.unit, budget)
        set_limit(
            self._engine, account, wanted, was=found.limit.amount, budget=found.name, who=self.attribution, by=by, reason=reason,
            until=until,
        )  # fmt: skip

    def _budget(self, unit: Unit, name: str | None) -> tuple[Budget, Account]:
        engine, at = self._engine, self._engine.clock.now()
        asked = Asked({unit: 0})
        claims = engine.book.claims(self.attribution, asked, at, {})
        fitting = [c for c in claims if name is None or c.budget.name == name]
        if len(fitting) != 1:
            names = ", ".join(repr(c.budget.name) for c in claims) or "none"
            raise PolicyError(key="budget", expected=f"expected one of this session's budgets in {unit.value}: {names}")
        return fitting[0].budget, fitting[0].hold.account

    # -- being current --------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Calls made here belong to the session from now on; a new run begins."""
        outer = self.attribution
        if self._engine.parts.of(outer.run) is None:  # what a sub-agent opens inside its block is its own work
            self.attribution = outer.with_values(run=new_id())
        if outer.session is None:
            self.attribution = self.attribution.with_values(session=self.attribution.run)
        self._entered.append((_ambient.enter(self), self._engine.clock.monotonic()))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The run ends; the outer session, if any, is current again."""
        token, since = self._entered.pop()
        _ambient.leave(token)
        self._engine.abandon(since, session=self.id)
        if self._engine.parts.of(self.attribution.run) is None:
            end_run(self._engine, self.attribution)

    async def __aenter__(self) -> Self:
        """As `__enter__`."""
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """As `__exit__`."""
        self.__exit__(kind, error, trace)


def end_run(engine: Engine, who: Attribution) -> None:
    """A run is over: forget its state; a probe that showed nothing closes its session's latch. Never raises."""
    state = engine.runs.forget(who.run or "")
    if state is None or not state.is_probe or state.tripped:
        return
    session = state.session
    said = [ev.event(ev.PROBE_PASSED, ev.NOTICE, f"session {session} runs normally again", who, engine.clock.now())]
    try:
        if breaker.probe(engine.store.latches(), who.with_values(session=session)) is None:
            return  # reset, or stopped by a person, while the probe ran
        engine.store.drop_latch("session", session, said)
        engine.dispatcher.send(said)
    except Exception:  # noqa: BLE001  ending a run is observing, and observing never raises
        engine.backlog.add("probe passed", lambda store: store.drop_latch("session", session))
