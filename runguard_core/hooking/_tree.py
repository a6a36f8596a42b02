"""A framework's runs in progress, as a tree: whose a call is, and which calls were never closed."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from runguard_core.attribution import Attribution
from runguard_core.calls import Outcome, OutcomeKind
from runguard_core.guard import Guard
from runguard_core.hooking._calls import OpenCall
from runguard_core.hooking._safely import safely

_MAX_NODES = 50_000


@dataclass(slots=True, eq=False)
class CallNode:
    """A run of a framework's in progress: an agent, a step, a tool, a model call. An adapter adds fields of its own.

    Attributes:
        key: the framework's id of it.
        parent: the run around it; None for an outermost one, and where the one around is not known.
        run: RunGuard's run it belongs to, agent: who works here, instance: which of the agents of that name;
            None: as in the run around it.
        is_run: it is a run of RunGuard's itself, which is over when it ends.
        call: the call that is made here, None where none is.
        failed: id of the call right inside that has just failed: the next one repeats it.
    """

    key: Hashable
    parent: Self | None = None
    run: str | None = None
    agent: str | None = None
    instance: str | None = None
    is_run: bool = False
    call: OpenCall | None = None
    failed: str | None = None
    _inside: dict[Hashable, Self] | None = None

    def hold(self, node: Self) -> None:
        """A run begins right inside this one."""
        if self._inside is None:
            self._inside = {}
        self._inside[node.key] = node

    def drop(self, node: Self) -> None:
        """A run right inside this one is over."""
        if self._inside is not None:
            self._inside.pop(node.key, None)

    def inside(self) -> Iterator[Self]:
        """The runs right inside it that are in progress."""
        return iter(tuple(self._inside.values())) if self._inside else iter(())

    def around(self) -> Iterator[Self]:
        """Itself and the runs around it, innermost first."""
        node: Self | None = self
        while node is not None:
            yield node
            node = node.parent


N = TypeVar("N", bound=CallNode)


class CallTree(Generic[N]):
    """All runs of a framework's that are in progress, by the framework's ids."""

    def __init__(self, guard: Guard) -> None:
        """None yet. The guard is held weakly, so that a tree can be kept by its guard: hold it where the tree is held."""
        self._guard: Guard = weakref.proxy(guard)
        self._nodes: dict[Hashable, N] = {}

    def __len__(self) -> int:
        """How many are in progress."""
        return len(self._nodes)

    def find(self, key: Hashable | None) -> N | None:
        """The run of that id; None when it is not in progress."""
        return self._nodes.get(key)

    def enter(self, node: N) -> N:
        """A run begins. What it does not say of itself is as in the run around it."""
        if len(self._nodes) >= _MAX_NODES:  # a framework that ends nothing must not fill the memory
            self._nodes.clear()
        parent = node.parent
        if parent is not None:
            node.run, node.agent = node.run or parent.run, node.agent or parent.agent
            node.instance = node.instance or parent.instance
            parent.hold(node)
        self._nodes[node.key] = node
        return node

    def finish(self, key: Hashable, outcome_of: Callable[[N, OpenCall], Outcome]) -> N | None:
        """A run that is a call is over: as `leave`, with the call settled before.

        Args:
            key: of the run.
            outcome_of: reads the outcome; what it raises is logged, and the outcome unknown.
        """
        node = self._nodes.get(key)
        call = node.call if node is not None else None
        if node is not None and call is not None:
            outcome = safely(lambda: outcome_of(node, call)) or Outcome(kind=OutcomeKind.UNKNOWN)
            call.reservation.settle(outcome)
            if node.parent is not None:
                node.parent.failed = call.reservation.call_id if outcome.kind is OutcomeKind.FAILED else None
        return self.leave(key)

    def leave(self, key: Hashable) -> N | None:
        """A run is over, and RunGuard's with it if it is one; None when it is not in progress. Settle its own call before.

        Calls right inside that the framework never closed are charged by what is known; inside a run of RunGuard's, all.
        What else goes on inside hangs on the run around from now on.
        """
        node = self._nodes.pop(key, None)
        if node is None:
            return None
        outer = node.parent
        if outer is not None:
            outer.drop(node)
        for below in node.inside():
            self._close(below, outer, deep=node.is_run)
        if node.is_run:
            who = node.call.reservation.owner if node.call is not None else self.who(node)
            self._guard.end_run(who if who.run == node.run else who.with_values(run=node.run))
        return node

    def _close(self, node: N, outer: N | None, *, deep: bool) -> None:
        """A run inside one that has ended."""
        if not deep and node.call is None:
            node.parent = outer
            if outer is not None:
                outer.hold(node)
            return
        self._nodes.pop(node.key, None)
        for below in node.inside():
            self._close(below, outer, deep=deep)
        if node.call is not None:
            node.call.reservation.abandon(node.call.seen_chars)

    def who(self, node: N | None, said: Mapping[str, Any] | None = None) -> Attribution:
        """Whose a call made in a run is.

        Args:
            node: the run; None where it is not known.
            said: what the program says of the call itself; it goes before what the tree knows.
        """
        known = {} if node is None else {"agent": node.agent, "instance": node.instance, "run": node.run}
        return self._guard.attribution(**{**known, **(said or {})})
