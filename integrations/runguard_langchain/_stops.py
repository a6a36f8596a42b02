"""Stops as LangGraph lets them through: RunGuard's errors that are also `GraphBubbleUp`.

Nothing in LangGraph or langchain.agents catches GraphBubbleUp (their code re-raises it by name), while plain exceptions
are retried, sent to fallbacks or shown to the model as a tool's answer. `except RefusedError` still works.
"""

from __future__ import annotations

import logging
from typing import Any

from runguard_core import RefusedError, StoppedError, TrippedError

try:
    from langgraph.errors import GraphBubbleUp as GraphBubbleUp  # noqa: PLC0414  re-exported
except ImportError:  # LangChain without LangGraph: there is nothing to pass through
    GraphBubbleUp = Exception  # type: ignore[assignment,misc]


class LangChainStoppedError(StoppedError, GraphBubbleUp):
    """Some other stop."""


class LangChainRefusedError(RefusedError, GraphBubbleUp):
    """A budget said no."""


class LangChainTrippedError(TrippedError, GraphBubbleUp):
    """A latch is set."""


_CLASSES: tuple[tuple[type[StoppedError], type[StoppedError]], ...] = (
    (RefusedError, LangChainRefusedError),
    (TrippedError, LangChainTrippedError),
    (StoppedError, LangChainStoppedError),
)


class _NoErrorOfOurs(logging.Filter):
    """LangChain logs whatever a handler raises as an error of the handler; a stop is none, it reaches the program."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to keep the record."""
        said = str(record.args)
        return not ("RunGuardCallbackHandler" in said and "LangChain" in said)


logging.getLogger("langchain_core.callbacks.manager").addFilter(_NoErrorOfOurs())


def bubbling(error: StoppedError, partial: Any) -> StoppedError:
    """The same stop with the same facts, in a class that LangGraph lets through."""
    cls = next(ours for core, ours in _CLASSES if isinstance(error, core))
    made = cls.__new__(cls)
    made.args = error.args
    made.__dict__.update(error.__dict__)
    made.partial = partial
    return made
