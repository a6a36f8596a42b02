"""`Child`: a sub-agent as its parent session holds it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from runguard_core.attribution import Attribution
from runguard_core.budgets import Limit, Part
from runguard_core.guard import _ambient
from runguard_core.guard._carving import carve, close
from runguard_core.guard._ownership import innermost_tool
from runguard_core.guard._session import Session, end_run
from runguard_core.ids import new_id
from runguard_core.ledger import CallFilter, CallRecord


class Child(Session):
    """A sub-agent: calls made inside its `with` block (sync or async) are its own, and spend its part and nothing else of it.

    Its calls stay in the parent's session, in a run of their own. Each entry of the block sets a part aside anew; one object
    is entered by one task at a time: parallel sub-agents are made by a call of `Session.child` each.

    Attributes:
        name: the sub-agent's; limit: the most it may spend.
    """

    def __init__(self, parent: Session, limit: Limit, name: str, **attribution: Any) -> None:
        """Made by `Session.child`; sets nothing aside yet."""
        super().__init__(parent._engine, parent.attribution)  # noqa: SLF001  a session
        self.name, self.limit = name, limit
        self._parent, self._own = parent, attribution
        self._part: Part | None = None

    @property
    def run(self) -> str:
        """The id of its run, under which reports show its calls; "" before it was entered."""
        return "" if self.attribution is self._parent.attribution else self.attribution.run or ""

    def calls(self) -> tuple[CallRecord, ...]:
        """Its calls in the ledger and those of its own sub-agents, oldest first."""
        found = [call for call in self._all(self.run) if call.is_paid] if self.run else []
        return tuple(sorted(found, key=lambda call: (call.started_at, call.id)))

    def _all(self, run: str) -> Iterator[CallRecord]:
        for call in self._engine.store.calls(CallFilter(app=self.attribution.app, run=run)):
            yield call
            if not call.is_paid:
                yield from self._all(call.id)

    def __enter__(self) -> Self:
        """Set the part aside; calls made here are the sub-agent's from now on.

        Raises:
            RefusedError: a budget has no room for the part. TrippedError: the parent is stopped.
            RuntimeError: it is entered already.
        """
        if self._entered:
            message = f"sub-agent {self.name!r} runs already: make another with session.child(...) for each that runs at once"
            raise RuntimeError(message)
        who = self._around()
        part = carve(self._engine, who, self.name, self.limit)
        run = part.id if part is not None else new_id()
        alone = replace(who, run=run, session=who.session or who.run or run, instance=None, turn=None, loop=None)
        self.attribution, self._part = alone.with_values(**self._own), part
        self._entered.append((_ambient.enter(self), self._engine.clock.monotonic()))
        if part is not None:  # let go of without a word, it must not hold its part for the life of the process
            self._let_go = weakref.finalize(self, self._engine.parts.forget, part.id)
            self._let_go.atexit = False
        return self

    def _around(self) -> Attribution:
        """Whose sub-agent it is: the tool's that runs here, when that is the parent's; else the parent session's."""
        who, tool = self._parent.attribution, innermost_tool(self._engine)
        inside = tool is not None and tool.session == who.session and self._engine.parts.of(who.run) is None
        return tool if tool is not None and inside else who

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Its run ends; calls nobody closed are charged by what is known, and what is left of the part returns."""
        token, since = self._entered.pop()
        _ambient.leave(token)
        part, self._part = self._part, None
        self._engine.abandon(since, run=self.attribution.run)
        end_run(self._engine, self.attribution)
        if part is not None:
            self._let_go.detach()
            close(self._engine, part)
