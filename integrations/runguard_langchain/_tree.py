"""The tree of LangChain's runs: whose a call is, and which calls are still open."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from langchain_core.runnables.config import ensure_config

from runguard_core import Attribution, Guard, Reservation, current_session
from runguard_langchain import _translate as translate

_MAX_NODES = 50_000
_MAX_PROMPTS = 1000
#: The run that the middleware knows of, for agents whose outer callbacks do not reach the handler.
RUN: ContextVar[str | None] = ContextVar("runguard_langchain_run", default=None)


@dataclass(slots=True)
class Node:
    """One LangChain run in progress: where it hangs and whose it is."""

    parent: UUID | None
    root: str
    agent: str | None
    instance: str | None
    name: str | None
    reservation: Reservation | None = None
    seen_chars: int = 0
    is_stream: bool = False
    first_usage: Mapping[str, Any] | None = None
    is_run: bool = False
    failed: str | None = None


@dataclass(slots=True)
class Tree:
    """What all handlers of one guard share, so that attaching four ways at once counts once.

    Attributes:
        nodes: runs in progress; sizes: of messages already measured; prompts: the last prompt of each root.
    """

    nodes: dict[UUID, Node] = field(default_factory=dict)
    sizes: translate.Sizes = field(default_factory=translate.Sizes)
    prompts: dict[str, list[Any]] = field(default_factory=dict)

    def find(self, run_id: UUID | None) -> Node | None:
        """The node of a run; None when unknown."""
        return self.nodes.get(run_id) if run_id is not None else None

    def is_open(self, run_id: UUID) -> bool:
        """Whether a call has been reserved for this run already."""
        node = self.nodes.get(run_id)
        return node is not None and node.reservation is not None

    def place(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        tags: list[str] | None,
        metadata: Mapping[str, Any] | None,
        name: str | None,
        *,
        is_chain: bool = False,
    ) -> Node:
        """The node of a run. A `graph:step:*` run's parent is a graph, and a graph's name is an agent's."""
        known = self.nodes.get(run_id)
        if known is not None:
            return known
        if len(self.nodes) >= _MAX_NODES:
            self.nodes.clear()
        parent = self.find(parent_run_id)
        if parent is not None:
            node = Node(parent_run_id, parent.root, parent.agent, parent.instance, name)
            if is_chain and any(tag.startswith("graph:step:") for tag in tags or ()):
                named = parent.name if parent.name not in {None, "LangGraph"} else None
                node.agent = named or (metadata or {}).get("lc_agent_name") or parent.name
                node.instance = str(parent_run_id)
        else:
            root, is_run = _root(run_id, is_chain=is_chain)
            node = Node(parent_run_id, root, (metadata or {}).get("lc_agent_name"), None, name, is_run=is_run)
        self.nodes[run_id] = node
        return node

    def keep_prompt(self, root: str, batch: Any) -> None:
        """The latest prompt of a run, for a stop that happens in a tool."""
        if not isinstance(batch, str):
            if len(self.prompts) >= _MAX_PROMPTS:
                self.prompts.clear()
            self.prompts[root] = list(batch)

    def abandon(self, run_id: UUID | None, root: str | None = None) -> None:
        """Calls below a run that has ended, or of a whole root, which LangChain never closed."""
        for key, node in list(self.nodes.items()):
            below = node.parent == run_id if root is None else node.root == root
            if below and node.reservation is not None:
                self.nodes.pop(key, None)
                node.reservation.abandon(node.seen_chars)


def _root(run_id: UUID, *, is_chain: bool) -> tuple[str, bool]:
    """The run that a run without a known parent belongs to, and whether it is one itself."""
    told = RUN.get()
    if told is not None:
        return told, False
    session = current_session()
    if not is_chain and session is not None and session.attribution.run is not None:
        return session.attribution.run, False
    return str(run_id), True


def caller_here(guard: Guard) -> Attribution:
    """Whose a model call made here would be, read from the callbacks that LangChain would hand it."""
    config = ensure_config()
    node = tree_of(guard).find(getattr(config.get("callbacks"), "parent_run_id", None))
    run = RUN.get() if node is None else node.root
    agent = None if node is None else node.agent
    return guard.attribution(**{"agent": agent, **translate.attribution(config.get("metadata") or {})}, run=run)


_trees: weakref.WeakKeyDictionary[Guard, Tree] = weakref.WeakKeyDictionary()


def tree_of(guard: Guard) -> Tree:
    """The one tree of a guard."""
    return _trees.setdefault(guard, Tree())
