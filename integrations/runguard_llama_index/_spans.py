"""The tree of LlamaIndex's spans in progress: whose a call is, and which calls are open in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from runguard_core import Guard, Reservation

_MAX_SPANS = 50_000


@dataclass(slots=True)
class Open:
    """A call in progress: its reservation, what came of its stream, the call around it, whether one inside took it over."""

    reservation: Reservation
    seen_chars: int = 0
    outer: Open | None = None
    is_passed_on: bool = False


@dataclass(slots=True)
class Span:
    """A span in progress.

    Attributes:
        id: LlamaIndex's, "Class.method-uuid"; parent: of the span around it.
        agent: the agent that works here; is_root: a run of an agent or an engine, which calls inside belong to.
        embedded_chars: size of what an embedding span embeds, with its count.
        model: the LLM that is called; call: its call that is open; tool: the tool's.
    """

    id: str
    parent: str | None
    agent: str | None = None
    is_root: bool = False
    texts: tuple[int, int] = (0, 0)
    model: Any = None
    call: Open | None = None
    tool: Reservation | None = None

    @property
    def method(self) -> str:
        """The name of what is called, "stream_chat"."""
        return self.id.partition("-")[0].rpartition(".")[2]


@dataclass(slots=True)
class Spans:
    """All spans in progress, by id."""

    guard: Guard
    _open: dict[str, Span] = field(default_factory=dict)

    def enter(self, span: Span) -> None:
        """A span begins."""
        if len(self._open) >= _MAX_SPANS:
            self._open.clear()
        self._open[span.id] = span

    def leave(self, id_: str) -> Span | None:
        """A span is over; None when it is not known."""
        return self._open.pop(id_, None)

    def find(self, id_: str | None) -> Span | None:
        """A span in progress."""
        return self._open.get(id_) if id_ else None

    def around(self, id_: str | None) -> Iterator[Span]:
        """A span and those around it, innermost first."""
        span = self.find(id_)
        while span is not None:
            yield span
            span = self.find(span.parent)

    def who(self, id_: str | None) -> dict[str, Any]:
        """Agent, run and instance of calls made in a span; None where it does not say."""
        agent = instance = run = None
        for span in self.around(id_):
            agent = agent or span.agent
            if span.is_root:
                instance, run = instance or span.id, span.id
        return {"agent": agent, "instance": instance, "run": run}
