"""LiteLLM's calls in progress: reserved before the request, settled by whoever knows the outcome first."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping
from typing import Any

from runguard_core import (
    Guard,
    OpenCall,
    OpenCalls,
    Outcome,
    StoppedError,
    StopSignal,
    read_answer,
    read_chunks,
    read_error,
    safely,
)
from runguard_litellm import _translate as translate

_PAYMENT_REQUIRED = 402


class Calls(OpenCalls):
    """The open calls of one guard, by LiteLLM's call id, grouped by its trace: a router's retries and fallbacks share one."""

    def __init__(self, guard: Guard) -> None:
        """None yet."""
        super().__init__(guard, by="litellm")
        self._owners: weakref.WeakKeyDictionary[Any, OpenCall] = weakref.WeakKeyDictionary()

    # -- before -----------------------------------------------------------------------------------------------------

    def begin(self, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any], owner: Any) -> dict[str, Any]:
        """Set a call aside while LiteLLM sets it up; its keyword arguments, the output limit lowered where that is wanted.

        Args:
            kind: LiteLLM's name of what is called; args, kwargs: of the user's call.
            owner: LiteLLM's logging object: when it dies unheard of, the call is abandoned.
                The proxy asks twice with the same one: that is one call.

        Raises:
            StoppedError: with a `status_code` that no router retries.
        """
        operation, key = translate.OPERATIONS.get(kind), str(kwargs.get("litellm_call_id"))
        before = self._owners.get(owner)
        if operation is None or (before is not None and self.find(key) is before and not before.is_over):
            return kwargs
        held = self._reserve(
            operation, kwargs.get("model") or next(iter(args), None), translate.prompt(args, kwargs), key, kwargs
        )
        self._owners[owner] = held
        self.watch(owner, held)
        return translate.capped(kind, kwargs, held.reservation.max_output_tokens)

    def sent(self, details: Mapping[str, Any]) -> None:
        """A request is about to leave: the call's first, or another attempt of it, which is a call of its own.

        Raises:
            StopSignal: it must not be sent.
        """
        key, operation = str(details.get("litellm_call_id")), translate.OPERATIONS.get(str(details.get("call_type")))
        if operation is None or details.get("litellm_no_upstream_llm_call"):
            return
        held = self.find(key)
        error = sys.exc_info()[1]
        if held is not None and held.is_sent and error is not None:  # the attempt whose failure is being handled
            held.reservation.settle(read_error(error))
        if held is None or held.is_over:
            given = {**(details.get("litellm_params") or {}), **(details.get("optional_params") or {})}
            about = {**given, "custom_llm_provider": details.get("custom_llm_provider"), "user": details.get("user")}
            try:
                held = self._reserve(operation, details.get("model"), details.get("messages") or details.get("input"), key, about)
            except StoppedError as stop:
                raise StopSignal(stop) from None
        held.is_sent = True

    def _reserve(self, operation: str, model: Any, prompt: Any, key: str, kwargs: Mapping[str, Any]) -> OpenCall:
        trace = str(kwargs.get("litellm_trace_id") or key)
        before = self.repeated(key, trace)
        retry_of = before.call_id if before is not None else None
        providers = getattr(sys.modules["litellm"], "provider_list", ())
        call = safely(lambda: translate.model_call(operation, model, prompt, kwargs, providers, retry_of))
        call = call or translate.model_call(operation, model, "", {}, (), retry_of)  # what cannot be read is paid all the same
        given = (safely(lambda: translate.attribution(kwargs)) or {}) if before is None else {}
        who = before.attribution if before is not None else self.guard.attribution(**given)
        try:
            return self.reserve(key, call, who, group=trace, model_names=translate.router_name(kwargs))
        except StoppedError as stop:
            stop.status_code = _PAYMENT_REQUIRED  # type: ignore[attr-defined]  # the one fact that keeps LiteLLM from retrying
            raise

    # -- after ------------------------------------------------------------------------------------------------------

    def answered(self, key: Any, answer: Any) -> None:
        """A whole answer has come."""
        self.settle(str(key), lambda held: read_answer(answer, _provider(held)))

    def failed(self, key: Any, error: BaseException) -> None:
        """An attempt has raised."""
        self.settle(str(key), lambda _: read_error(error))

    def heard(self, key: Any, answer: Any, *, from_cache: bool) -> None:
        """LiteLLM reports a success, late. Not of a stream: it makes the usage up where the provider gave none."""
        held = self.find(str(key))
        if from_cache:
            self.settle(str(key), lambda _: Outcome(from_cache=True))
        elif held is not None and held.chunks is None:
            self.answered(key, answer)

    def stream(self, key: Any, stream: Any) -> None:
        """A stream has begun: its chunks are what is charged should nobody hear its end."""
        held = self.find(str(key))
        if held is not None:
            held.chunks = stream.chunks
            self.watch(stream, held)

    def ended(self, key: Any, stream: Any, error: BaseException | None) -> None:
        """A stream has come to its end, or broken off."""
        self.settle(str(key), lambda held: read_chunks(stream.chunks, _provider(held), is_whole=error is None, error=error))


def _provider(held: OpenCall) -> str | None:
    return getattr(held.reservation.call, "provider", None)
