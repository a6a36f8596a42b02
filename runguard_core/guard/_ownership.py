"""One attempt of one model is one entry: an inner adapter finds the call that an outer one has reserved already.

LangChain over LiteLLM over a client is one call that two adapters see. The outer one reserves first and its reservation
stays known in its context (thread, task, copied context). The inner adapter's `reserve` is handed that very reservation:
once, for the same model, while the outer call is open and no part of its answer has been seen. A second attempt, another
model, or code that runs between two pieces of an answer reserves for itself. Whoever knows the outcome first settles it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from runguard_core.attribution import Attribution
from runguard_core.calls import ModelCall, ToolCall

if TYPE_CHECKING:
    from runguard_core.guard._engine import Engine
    from runguard_core.guard._reservation import Reservation

_MAX_OPEN = 64
#: What adapters have reserved in this context and not closed yet, outermost first.
_OPEN: ContextVar[tuple[Reservation, ...]] = ContextVar("runguard_open_calls", default=())


def own(held: Reservation) -> None:
    """Let adapters further in know of a call."""
    still = [one for one in _OPEN.get() if not one.settled and not one.is_abandoned]
    still.append(held)
    _OPEN.set(tuple(still[-_MAX_OPEN:]))


def claim(engine: Engine, call: ModelCall, by: str, names: tuple[str, ...]) -> Reservation | None:
    """The call of another adapter that this one is an attempt of, from now on claimed; None when there is none.

    Args:
        engine: whose calls.
        call: what is about to be sent; names: further names of its model (a router's alias).
        by: the adapter that asks; its own calls are never claimed.
    """
    for held in _OPEN.get():
        if held.settled or held.by == by or held.is_abandoned or held.is_claimed or not held.is_of(engine):
            continue
        outer = held.call
        if isinstance(outer, ModelCall) and _bare(outer.model) in {"unknown", *map(_bare, (call.model, *names))}:
            held.is_claimed = True
            return held
    return None


def innermost_tool(engine: Engine) -> Attribution | None:
    """Whose tool is running here: calls made inside it are its agent's, unless they say otherwise."""
    for held in reversed(_OPEN.get()):
        if not held.settled and isinstance(held.call, ToolCall) and not held.is_abandoned and held.is_of(engine):
            return held.attribution
    return None


def _bare(model: str) -> str:
    """A model's name without the provider before it."""
    return model.rpartition("/")[2].lower()
