"""The two hooks: a span handler that sees whose calls are made, and the gate it puts into every model before each call.

LlamaIndex swallows whatever its instrumentation raises, so that can only watch. What a callback handler raises in
`on_event_start` stops the call before its request; but query engines replace a model's callbacks, so the span handler, which
runs first and for every call, puts the gate in again each time.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation.events.llm import LLMChatInProgressEvent, LLMCompletionInProgressEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import PrivateAttr

from runguard_core import CallTree, Guard, OpenCalls, Outcome, StoppedError, read_error, safely
from runguard_llama_index import _translate as translate
from runguard_llama_index._enforce import RunGuardCallbackHandler, Span

#: What an agent or an engine is asked by: calls inside belong to it.
_ROOTS = frozenset({"run", "query", "aquery", "chat", "achat", "stream_chat", "astream_chat"})


class RunGuardSpanHandler(BaseSpanHandler[BaseSpan]):
    """Sees every span of LlamaIndex: agents, turns, tools; puts the gate in. Never raises."""

    _spans: CallTree[Span] = PrivateAttr()
    _gate: RunGuardCallbackHandler = PrivateAttr()

    def __init__(self, guard: Guard, *, stream_usage: bool = True) -> None:
        """Share one tree with the gate."""
        super().__init__()
        self._spans = CallTree(guard)
        self._gate = RunGuardCallbackHandler(OpenCalls(guard, by="llama_index"), self._spans, stream_usage=stream_usage)

    def span_enter(
        self, id_: str, bound_args: Any, instance: Any = None, parent_id: str | None = None, tags: Any = None, **kwargs: Any
    ) -> None:
        """Note where a call hangs; make sure the gate stands in its model; a tool's call is set aside."""
        span, given = Span(id_, self._spans.find(parent_id)), bound_args.arguments
        manager, event = getattr(instance, "callback_manager", None), given.get("ev")
        if isinstance(manager, CallbackManager):
            self._gate.stand_in(manager)
        if isinstance(instance, BaseEmbedding):
            texts = given.get("texts") or [given.get("text") or given.get("query") or ""]
            span.texts = sum(len(str(text)) for text in texts), len(texts)
        elif isinstance(instance, BaseLLM):
            span.model = instance
        else:
            span.agent = getattr(event, "current_agent_name", None)
            if span.method in _ROOTS:
                span.agent, span.instance = getattr(instance, "name", None) or type(instance).__name__, id_
                span.is_run = span.parent is None or span.parent.run is None
                span.run = id_ if span.is_run else None
        self._spans.enter(span)
        if hasattr(event, "tool_kwargs") and not hasattr(event, "tool_output"):
            self._begin_tool(span, event)

    def _begin_tool(self, span: Span, event: Any) -> None:
        call = safely(lambda: translate.tool_call(event))
        with suppress(StoppedError):  # a tool cannot be stopped from here; the run is latched, its next model call is
            if call is not None:
                span.tool = self._gate.calls.guard.reserve(call, self._gate.who(span), by="llama_index")

    def span_exit(self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **kwargs: Any) -> None:
        """A call has returned; a stream has only been made."""
        span = self._spans.find(id_)
        if span is not None and span.tool is not None:
            span.tool.settle(safely(lambda: translate.tool_outcome(result)) or Outcome())
        if span is not None and span.call is not None and (hasattr(result, "__next__") or hasattr(result, "__anext__")):
            self._gate.stream(id_, span.call, result)
        self._spans.leave(id_)

    def span_drop(self, id_: str, bound_args: Any, instance: Any = None, err: BaseException | None = None, **kwargs: Any) -> None:
        """A call has raised."""
        span, error = self._spans.find(id_), err or RuntimeError("dropped")
        if span is not None and span.tool is not None:
            span.tool.settle(translate.tool_failure(error))
        if span is not None and span.call is not None:
            span.call.reservation.settle(read_error(error, span.call.seen_chars))
        self._spans.leave(id_)

    def new_span(self, *args: Any, **kwargs: Any) -> None:
        """The tree is ours, and nothing is kept here."""

    prepare_to_exit_span = prepare_to_drop_span = new_span

    @property
    def gate(self) -> RunGuardCallbackHandler:
        """What stands in the models."""
        return self._gate


class RunGuardEventHandler(BaseEventHandler):
    """Counts the pieces of streams, for those that break off. Never raises."""

    _gate: RunGuardCallbackHandler = PrivateAttr()

    def __init__(self, gate: RunGuardCallbackHandler) -> None:
        """For the gate's open calls."""
        super().__init__()
        self._gate = gate

    def handle(self, event: Any, **kwargs: Any) -> None:
        """An event of LlamaIndex."""
        if isinstance(event, (LLMChatInProgressEvent, LLMCompletionInProgressEvent)):
            self._gate.piece(event.span_id, event.response)


_attached: list[tuple[RunGuardSpanHandler, RunGuardEventHandler]] = []


def attach(guard: Guard, stream_usage: bool) -> None:
    """Watch the root of all dispatchers."""
    detach()
    spans = RunGuardSpanHandler(guard, stream_usage=stream_usage)
    events = RunGuardEventHandler(spans.gate)
    get_dispatcher().add_span_handler(spans)
    get_dispatcher().add_event_handler(events)
    _attached.append((spans, events))


def detach() -> None:
    """Undo `attach`."""
    root = get_dispatcher()
    for spans, events in _attached:
        spans.gate.step_out()
        root.span_handlers[:] = [one for one in root.span_handlers if one is not spans]
        root.event_handlers[:] = [one for one in root.event_handlers if one is not events]
    _attached.clear()
