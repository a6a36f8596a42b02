"""`Guard`: what the user holds."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from runguard_core.attribution import Attribution, clean
from runguard_core.budgets import Budget, Mode
from runguard_core.calls import Call, ModelCall
from runguard_core.clock import Clock, SystemClock
from runguard_core.guard._admitting import admit
from runguard_core.guard._advising import advice_for
from runguard_core.guard._ambient import current_session
from runguard_core.guard._building import engine_of, rules_of
from runguard_core.guard._callback import budget_listener
from runguard_core.guard._child import Child
from runguard_core.guard._decides import Decides
from runguard_core.guard._dispatcher import Listener
from runguard_core.guard._installing import install_adapters
from runguard_core.guard._ownership import claim, innermost_tool, own
from runguard_core.guard._plain import PlainCalls
from runguard_core.guard._reservation import Reservation
from runguard_core.guard._rules import Rules
from runguard_core.guard._session import Session, end_run
from runguard_core.ledger import Latch, Store


class Guard(PlainCalls, Decides):
    """Meters calls and refuses the next one of a run that breaks a budget, loops, or was stopped by a person.

    Safe to use from any number of threads, tasks and (with a file ledger) processes.
    """

    def __init__(
        self,
        *,
        app: str = "default",
        budgets: Iterable[Budget] = (),
        store: str | Store | None = None,
        mode: str | Mode = Mode.ENFORCE,
        max_cost_per_session_usd: object = None,
        daily_budget_usd: object = None,
        on_budget_exceeded: Any = None,
        listeners: Sequence[Listener] = (),
        clock: Clock | None = None,
        rules: Rules | None = None,
        **settings: Any,
    ) -> None:
        """Put a guard together; opens the ledger, starts nothing else.

        Args:
            app: the program's name; one default ledger per app.
            budgets: the limits.
            store: "memory://", "sqlite:///FILE", a `Store`, or None for the app's ledger in the user's state directory.
            mode: enforce, observe or off.
            max_cost_per_session_usd, daily_budget_usd: the two commonest budgets in short.
            on_budget_exceeded: called with a `BudgetExceeded` when a budget refuses a call; sync or async.
            listeners: called with every event.
            clock: a stand-in for the machine's clock, for tests.
            rules: a finished policy, instead of `app`, `budgets`, `mode` and `settings`.
            settings: feature, team, owner, release, quote, unpriced, timezone, prices, detectors, turn_detectors, advise,
                tool_rules, tool_prices_usd, agent_modes, agent_owners, detector_modes, require, on_store_error,
                degraded_limit_usd, hold_seconds, cap_output, anomalies, attribution,
                owners, runbooks.

        Raises:
            PolicyError: naming the setting and what was expected.
        """
        if rules is None:
            rules = rules_of(
                app, budgets, mode=mode, session_usd=max_cost_per_session_usd, daily_usd=daily_budget_usd, **settings
            )
        heard = list(listeners)
        if on_budget_exceeded is not None:
            heard.append(budget_listener(on_budget_exceeded, self))
        self._engine = engine_of(rules, store, clock or SystemClock(), heard)
        self._closed = False
        _live.add(self)

    # -- sessions and calls ---------------------------------------------------------------------------------------

    @property
    def app(self) -> str:
        """The program's name."""
        return self._engine.rules.defaults.app

    @property
    def rules(self) -> Rules:
        """What the guard decides by."""
        return self._engine.rules

    @property
    def store(self) -> Store:
        """Where the book is kept."""
        return self._engine.store

    def session(
        self,
        id: str | None = None,  # noqa: A002  the user's word for it
        *,
        agent: str | None = None,
        user: str | None = None,
        feature: str | None = None,
        team: str | None = None,
        tags: Mapping[str, object] | None = None,
        **more: Any,
    ) -> Session:
        """A conversation, to be entered with `with` or `async with`.

        Args:
            id: the conversation's id; None makes each run its own session.
            agent, user, feature, team, tags: who its calls belong to.
            more: owner, release.
        """
        who = self.attribution(session=id, agent=agent, user=user, feature=feature, team=team, tags=tags, **more)
        return Session(self._engine, who)

    def child(self, limit: object, *, name: str = "sub-agent", **more: Any) -> Child:
        """A sub-agent of whoever runs here (the current session, the tool that runs); see `Session.child`."""
        return self.session().child(limit, name=name, **more)

    def attribution(self, **values: Any) -> Attribution:
        """The attribution of a call made here: defaults, the current session of this guard, the tool that runs, `values`.

        What runs inside a tool (or a sub-agent) belongs to its run, whatever root of its own another framework sees there.
        """
        session, engine = current_session(), self._engine
        if engine.rules.hash_users and values.get("user") is not None:
            values["user"] = engine.kept_user(clean(values["user"]))
        mine = session is not None and session._engine is engine  # noqa: SLF001  same package
        start = session.attribution if session is not None and mine else engine.rules.defaults
        tool, is_child = innermost_tool(engine), engine.parts.of(start.run) is not None
        if tool is None and not is_child:
            return start.with_values(**values)
        # a sub-agent that was opened inside a tool is further in than the tool, whose own run is another one
        inner = start if tool is None or (is_child and tool.run != start.run) else tool
        return inner.with_values(**{**values, "run": None})

    def reserve(
        self,
        call: Call,
        attribution: Attribution | None = None,
        *,
        call_id: str | None = None,
        by: str = "",
        model_names: tuple[str, ...] = (),
    ) -> Reservation:
        """Set a call's quote aside before it is sent; or, for an adapter, be handed the call an outer one has reserved.

        Args:
            call: what is about to be called.
            attribution: whose it is; None reads the tool that runs here, else the current session.
            call_id: the client's id of the call, None makes one.
            by: the adapter's name. Adapters see each other's calls: one attempt of one model is one entry.
            model_names: further names of the call's model, under which an outer adapter may know it.

        Raises:
            StoppedError: the call must not be sent.
        """
        if isinstance(call, ModelCall):
            outer = claim(self._engine, call, by, model_names)
            if outer is not None:
                return outer
        made = admit(self._engine, call, attribution or self.attribution(), call_id)
        made.by = by
        own(made)
        return made

    def end_run(self, attribution: Attribution) -> None:
        """An adapter says that a run is over; a sub-agent's is over with its block. Never raises."""
        if self._engine.parts.of(attribution.run) is None:
            end_run(self._engine, attribution)

    def stopped(self, attribution: Attribution | None = None) -> Latch | None:
        """The latch that would stop a call made here; None when it may go on."""
        return self._engine.stopping(attribution or self.attribution())

    def advice(self, attribution: Attribution | None = None) -> str | None:
        """A short note for the agent of a run that was warned since its last note: the warnings, and what budgets leave.

        None where nothing was warned, and where the policy has not asked for notes (`advise`). Each warning is told once.
        """
        return advice_for(self._engine, attribution or self.attribution())

    def fingerprint(self, text: str) -> str:
        """Keyed digest of a text (an API key, for example), as the ledger keeps it."""
        return self._engine.fingerprint.text(text)

    def user_id(self, user: str, *, hashed: bool = False) -> str:
        """A user's id as the ledger keeps it: as it came, or a keyed digest where the policy hashes users, or `hashed`."""
        return self._engine.hashed_user(user) if hashed else self._engine.kept_user(user)

    # -- life -----------------------------------------------------------------------------------------------------

    def listen(self, listener: Listener, *, kinds: Collection[str] | None = None) -> Listener:
        """Hear events from now on, of some kinds (see `runguard_core.events`) or of all; usable as a decorator.

        What it raises is logged.
        """
        self._engine.dispatcher.add(listener, kinds)
        return listener

    def defer(self, action: Callable[[], None]) -> None:
        """Do something soon on the guard's own thread: for finalizers, which run at any point and must take no lock."""
        self._engine.dispatcher.defer(action)

    def before_close(self, action: Callable[[], object]) -> None:
        """Do something at the end, when all events are delivered and the ledger is still open. What it raises is logged."""
        self._engine.dispatcher.at_end(action)

    def install(self, *names: str) -> tuple[str, ...]:
        """Hook into the frameworks that are present (or the named ones); the names that were hooked."""
        return install_adapters(self, names)

    def flush(self, seconds: float = 5.0) -> bool:
        """Write what waits and deliver events queued so far; False when that took longer."""
        if self._engine.backlog.waiting:
            self._engine.backlog.flush(self._engine.store)
        if self._engine.lookout is not None:
            self._engine.lookout.flush(seconds)
        return self._engine.dispatcher.flush(seconds)

    def close(self) -> None:
        """Deliver events within a bound, write what waits, close the ledger. Calls in flight expire by themselves."""
        if self._closed:
            return
        self._closed = True
        engine = self._engine
        if engine.backlog.waiting:
            engine.backlog.flush(engine.store)
        engine.dispatcher.close()
        engine.store.close()

    def __enter__(self) -> Self:
        """The guard itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """As `close`."""
        self.close()


_live: weakref.WeakSet[Guard] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """At the interpreter's end every guard delivers what it has."""
    for guard in list(_live):
        guard.close()
