"""The gate: a callback handler that sets a call aside before its request, or raises, and settles it when it ends."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index_instrumentation.dispatcher import active_instrument_tags
from llama_index_instrumentation.span import active_span_id

from runguard_core import Attribution, CallNode, CallTree, ModelCall, OpenCall, OpenCalls, Reservation, read_attribution, safely
from runguard_llama_index import _translate as translate

_METERED = (CBEventType.LLM, CBEventType.EMBEDDING, CBEventType.RERANKING)


@dataclass(slots=True, eq=False)
class Span(CallNode):
    """A span of LlamaIndex's in progress, by its id, "Class.method-uuid".

    Attributes:
        texts: characters and number of what an embedding span embeds.
        model: the LLM that is called; tool: the tool's call.
    """

    texts: tuple[int, int] = (0, 0)
    model: Any = None
    tool: Reservation | None = None

    @property
    def method(self) -> str:
        """The name of what is called, "stream_chat"."""
        return str(self.key).partition("-")[0].rpartition(".")[2]


class RunGuardCallbackHandler(BaseCallbackHandler):
    """The gate: sets a call aside before its request, or raises; settles it when it ends."""

    def __init__(self, calls: OpenCalls, spans: CallTree[Span], *, stream_usage: bool) -> None:
        """Ignore nothing; open calls are known by the ids of events, those that stream by the ids of spans too."""
        super().__init__([], [])
        self.calls, self._spans, self._stream_usage = calls, spans, stream_usage
        self._streams: weakref.WeakValueDictionary[str, OpenCall] = weakref.WeakValueDictionary()
        self._managers: weakref.WeakSet[CallbackManager] = weakref.WeakSet()

    def stand_in(self, manager: CallbackManager) -> None:
        """Be among the handlers of a model, in place of any other gate."""
        if self not in manager.handlers:
            manager.handlers[:] = [one for one in manager.handlers if not isinstance(one, RunGuardCallbackHandler)]
            manager.add_handler(self)
            self._managers.add(manager)

    def step_out(self) -> None:
        """Leave every model."""
        for manager in list(self._managers):
            if self in manager.handlers:
                manager.remove_handler(self)

    def stream(self, id_: str, held: OpenCall, stream: Any) -> None:
        """A stream has been made: its pieces are counted, and should nobody read it to its end, they are what is charged."""
        self._streams[id_], held.is_sent = held, True
        self.calls.watch(stream, held)

    def piece(self, id_: str | None, response: Any) -> None:
        """A piece of a stream has come."""
        held = self._streams.get(id_ or "")
        if held is not None:
            held.seen_chars += len(getattr(response, "delta", None) or "")

    def who(self, span: Span | None) -> Attribution:
        """Whose a call made in a span is; flat tags of the program's go first."""
        return self._spans.who(span, safely(lambda: read_attribution(active_instrument_tags.get())))

    def on_event_start(
        self, event_type: Any, payload: Mapping[Any, Any] | None = None, event_id: str = "", parent_id: str = "", **kwargs: Any
    ) -> str:
        """Set the quote aside, or raise before the request is sent.

        Raises:
            StoppedError: an ordinary Exception that is no ValueError: workflows hang on others, engines swallow that one.
        """
        if event_type in _METERED:
            span, said = self._spans.find(active_span_id.get()), _as_text(payload)
            if event_type == CBEventType.RERANKING and span is not None and translate.is_unpaid_reranker(str(span.key)):
                return event_id
            call = safely(lambda: self._call(event_type, said, span)) or ModelCall(model="unknown")
            self._begin(event_id, span, call, said)
        return event_id

    def _call(self, event_type: Any, said: Mapping[str, Any], span: Span | None) -> ModelCall:
        if event_type == CBEventType.EMBEDDING:
            return translate.embedding_call(said, span.texts if span is not None else (0, 1))
        if event_type == CBEventType.RERANKING:
            return translate.rerank_call(said)
        model = span.model if span is not None else None
        name = "" if (said.get("serialized") or {}).get("model") or model is None else _name_of(model)
        limit = getattr(model, "max_tokens", None)
        return translate.model_call(said, name, limit, can_cap=_is_openai(said) and not limit)

    def _begin(self, event_id: str, span: Span | None, call: ModelCall, said: Mapping[str, Any]) -> None:
        outer = next((one.call for one in (span.around() if span is not None else ()) if one.call is not None), None)
        if outer is not None and (outer.is_over or outer.is_passed_on):
            outer = None
        if outer is not None and outer.reservation.call.model in {call.model, "unknown"}:  # type: ignore[union-attr]
            held = self.calls.pass_on(event_id, outer)
        else:
            if outer is not None:
                outer.is_passed_on = True
                outer.reservation.void("made by the call inside")
            held = self.calls.reserve(event_id, call, self.who(span))
        if span is not None:
            span.call = held
        self._ask(held, call, span, said)

    def _ask(self, held: OpenCall, call: ModelCall, span: Span | None, said: Mapping[str, Any]) -> None:
        """Change the request where its client takes it: usage of streams, the output limit that was reserved."""
        given = said.get("additional_kwargs")
        if not isinstance(given, dict) or not _is_openai(said):
            return
        if self._stream_usage and span is not None and "stream" in span.method:
            given.setdefault("stream_options", {"include_usage": True})
        cap = held.reservation.max_output_tokens
        if cap is not None and call.can_cap_output:
            given["max_tokens"] = min(cap, given.get("max_tokens") or cap)

    def on_event_end(self, event_type: Any, payload: Mapping[Any, Any] | None = None, event_id: str = "", **kwargs: Any) -> None:
        """Settle."""
        self.calls.settle(event_id, lambda held: translate.ended(_as_text(payload), held.seen_chars))

    def start_trace(self, *args: Any, **kwargs: Any) -> None:
        """Not ours."""

    end_trace = start_trace


def _as_text(payload: Mapping[Any, Any] | None) -> dict[str, Any]:
    return {str(getattr(key, "value", key)): value for key, value in (payload or {}).items()}


def _name_of(model: Any) -> str:
    """What a model without a name of its own (a wrapper, a program's own class) goes by."""
    try:
        name = str(model.metadata.model_name)
    except Exception:  # noqa: BLE001  metadata of unknown models raise
        name = "unknown"
    return type(model).__name__ if name == "unknown" else name


def _is_openai(said: Mapping[str, Any]) -> bool:
    """Whether the model's client takes OpenAI's parameters."""
    name = str((said.get("serialized") or {}).get("class_name") or "").lower()
    return name.startswith(("openai", "azure", "openrouter", "deepseek", "groq", "together", "fireworks", "litellm"))
