"""What has to get through LangChain: stops on their way out, the first event of an Anthropic stream on its way in.

Nothing in LangGraph or langchain.agents catches `GraphBubbleUp` (their code re-raises it by name), while plain exceptions are
retried, sent to fallbacks or shown to the model as a tool's answer: stops are both. `except RefusedError` still works.

LangChain drops the first event of an Anthropic stream, the only one that older servers put the cache in. A private symbol of
langchain-anthropic is wrapped for it, when the first Anthropic call is seen. Where it is gone, or the wrapping does not fit
any more, nothing breaks: the call is charged by estimate and marked so.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from runguard_core import RefusedError, StoppedError, TrippedError, Wraps, safely
from runguard_langchain._translate import FIRST_USAGE

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


_wraps = Wraps()


def keep_first_usage() -> None:
    """Let the chunks of `ChatAnthropic` carry what the stream's first event said. Safe to call often."""
    if not _wraps and "langchain_anthropic.chat_models" in sys.modules:
        cls = sys.modules["langchain_anthropic.chat_models"].ChatAnthropic
        _wraps.wrap(cls, "_make_message_chunk_from_anthropic_event", _keeping)


def _keeping(original: Callable[..., Any]) -> Callable[..., Any]:
    def keeping(self: Any, event: Any, **kwargs: Any) -> Any:
        made = original(self, event, **kwargs)
        if getattr(event, "type", None) == "message_start":
            safely(lambda: made[0].response_metadata.update({FIRST_USAGE: event.message.usage.model_dump()}))
        return made

    return keeping
