"""The gate: a callback handler that sets a call aside before its request, or raises, and settles it when it ends."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index_instrumentation.dispatcher import active_instrument_tags
from llama_index_instrumentation.span import active_span_id

from runguard_core import ModelCall, Outcome, read_attribution, read_error, safely
from runguard_llama_index import _translate as translate
from runguard_llama_index._spans import Open, Span, Spans

_METERED = (CBEventType.LLM, CBEventType.EMBEDDING, CBEventType.RERANKING)


class RunGuardCallbackHandler(BaseCallbackHandler):
    """The gate: sets a call aside before its request, or raises; settles it when it ends."""

    def __init__(self, spans: Spans, *, stream_usage: bool) -> None:
        """Ignore nothing; keep the open calls."""
        super().__init__([], [])
        self._spans, self._stream_usage = spans, stream_usage
        self._open: dict[str, Open] = {}
        self._streams: dict[str, Open] = {}
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

    def stream(self, id_: str, held: Open, stream: Any) -> None:
        """A stream has been made: its pieces are counted, and should nobody read it to its end, they are what is charged."""
        self._streams[id_] = held

        def gone() -> None:
            self._streams.pop(id_, None)
            held.reservation.abandon(held.seen_chars)

        weakref.finalize(stream, self._spans.guard.defer, gone).atexit = False

    def piece(self, id_: str | None, response: Any) -> None:
        """A piece of a stream has come."""
        held = self._streams.get(id_ or "")
        if held is not None:
            held.seen_chars += len(getattr(response, "delta", None) or "")

    def who(self, id_: str | None) -> Any:
        """Whose a call made in a span is."""
        found = {key: value for key, value in self._spans.who(id_).items() if value is not None}
        tags = safely(lambda: read_attribution(active_instrument_tags.get())) or {}
        return self._spans.guard.attribution(**{**found, **tags})

    def on_event_start(
        self, event_type: Any, payload: Mapping[Any, Any] | None = None, event_id: str = "", parent_id: str = "", **kwargs: Any
    ) -> str:
        """Set the quote aside, or raise before the request is sent.

        Raises:
            StoppedError: an ordinary Exception that is no ValueError: workflows hang on others, engines swallow that one.
        """
        if event_type in _METERED:
            here = active_span_id.get()
            said = {str(getattr(key, "value", key)): value for key, value in (payload or {}).items()}
            if event_type == CBEventType.RERANKING and translate.is_unpaid_reranker((here or "").partition(".")[0]):
                return event_id
            call = safely(lambda: self._call(event_type, said, here)) or ModelCall(model="unknown")
            self._begin(event_id, here, call, said)
        return event_id

    def _call(self, event_type: Any, said: Mapping[str, Any], here: str | None) -> ModelCall:
        span = self._spans.find(here)
        if event_type == CBEventType.EMBEDDING:
            return translate.embedding_call(said, span.texts if span is not None else (0, 1))
        if event_type == CBEventType.RERANKING:
            return translate.rerank_call(said)
        model = span.model if span is not None else None
        name = "" if (said.get("serialized") or {}).get("model") or model is None else _name_of(model)
        limit = getattr(model, "max_tokens", None)
        return translate.model_call(said, name, limit, can_cap=_is_openai(said) and not limit)

    def _begin(self, event_id: str, here: str | None, call: ModelCall, said: Mapping[str, Any]) -> None:
        outer = next((span.call for span in self._spans.around(here) if span.call is not None), None)
        is_within = outer is not None and not outer.reservation.settled and not outer.is_passed_on
        if outer is not None and is_within and outer.reservation.call.model in {call.model, "unknown"}:  # type: ignore[union-attr]
            outer.is_passed_on = True  # one request that two layers report: the inner one knows better how it ends
            held = Open(outer.reservation, outer=outer)
        else:
            if outer is not None and is_within:
                outer.is_passed_on = True
                outer.reservation.void("made by the call inside")
            held = Open(self._spans.guard.reserve(call, self.who(here), by="llama_index"))
        self._open[event_id] = held
        span = self._spans.find(here)
        if span is not None:
            span.call = held
        self._ask(held, call, span, said)

    def _ask(self, held: Open, call: ModelCall, span: Span | None, said: Mapping[str, Any]) -> None:
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
        """Settle; what an inner layer could not read is left to the outer one."""
        held = self._open.pop(event_id, None)
        if held is None:
            return
        said = {str(getattr(key, "value", key)): value for key, value in (payload or {}).items()}
        error = said.get("exception")
        if isinstance(error, BaseException):
            held.reservation.settle(read_error(error, held.seen_chars))
            return
        response = said.get("response", said.get("completion"))
        outcome = safely(lambda: translate.answered(response, held.seen_chars)) or Outcome()
        if outcome.usage is not None or held.outer is None:
            held.reservation.settle(outcome)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Not ours."""

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None:
        """Not ours."""


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
