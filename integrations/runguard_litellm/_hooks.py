"""Hooking into LiteLLM: a gate where it sets a call up, a second line before each request, answers and ends of streams.

None of LiteLLM's documented hooks lets an `Exception` stop a call, so `litellm.utils.function_setup` is wrapped: what is
raised there arrives at the caller, no request has been made, nothing is retried. Calls that skip it meet the second line,
`log_pre_api_call`, whose signal only passes as a `BaseException` and is turned into the stop by the nearest wrapped call.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import litellm
import litellm.anthropic_interface.messages
import litellm.utils
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper

from runguard_core import Guard, StoppedError, Wraps, inside
from runguard_litellm._calls import Calls
from runguard_litellm._translate import OPERATIONS

#: Providers of OpenAI's protocol: a stream of theirs tells its usage when asked to.
_OPENAI_LIKE = frozenset(
    {"openai", "azure", "hosted_vllm", "custom_openai", "openrouter", "deepseek", "together_ai", "fireworks_ai", "groq", "xai"}
    | {"litellm_proxy", "lm_studio", "llamafile", "nvidia_nim", "cerebras", "sambanova"}
)
_RETRYING = tuple(f"{name}_with_retries" for name in ("completion", "acompletion", "responses", "aresponses"))
_wraps = Wraps()
_active: RunGuardLogger | None = None


class RunGuardLogger(CustomLogger):
    """LiteLLM's logger of a guard; making one is enough, it hooks itself in. One guard a process: the last one made."""

    def __init__(self, guard: Guard, *, stream_usage: bool = True) -> None:
        """Hook in.

        Args:
            guard: whose.
            stream_usage: ask providers of OpenAI's protocol to report the usage of streams; without it they are estimated.
        """
        global _active  # noqa: PLW0603  LiteLLM's hooks are the process's
        super().__init__()
        self.guard, self.calls, self.stream_usage = guard, Calls(guard), stream_usage
        _active = self
        self.register()
        _wrap_all()

    def register(self) -> None:
        """Be in LiteLLM's lists, also after a program has replaced them."""
        for name in ("callbacks", "input_callback"):
            if self not in getattr(litellm, name):
                getattr(litellm, name).append(self)

    # -- the names and parameters are LiteLLM's, which passes them by name ------------------------------------------

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: dict[str, Any]) -> None:
        """The second line: a request is about to leave. Raises a signal that is no `Exception`."""
        if _active is not self:
            return
        self.calls.sent({**kwargs, "model": model, "messages": messages})
        body = (kwargs.get("additional_args") or {}).get("complete_input_dict")
        is_like = self.stream_usage and kwargs.get("custom_llm_provider") in _OPENAI_LIKE
        if is_like and isinstance(body, dict) and body.get("stream") and "messages" in body:
            body["stream_options"] = {"include_usage": True, **(body.get("stream_options") or {})}

    def log_success_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Late: only for what nothing earlier has settled, such as answers of LiteLLM's own cache."""
        self.calls.heard(kwargs.get("litellm_call_id"), response_obj, from_cache=bool(kwargs.get("cache_hit")))

    async def async_log_success_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """As `log_success_event`."""
        self.log_success_event(kwargs, response_obj, start_time, end_time)

    def log_failure_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Before LiteLLM raises or tries again."""
        error = kwargs.get("exception")
        if isinstance(error, BaseException) and not kwargs.get("litellm_no_upstream_llm_call"):
            self.calls.failed(kwargs.get("litellm_call_id"), error)

    async def async_log_failure_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """As `log_failure_event`."""
        self.log_failure_event(kwargs, response_obj, start_time, end_time)

    async def async_post_call_failure_deployment_hook(
        self, request_data: Any, exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        """One attempt of a router has failed; its events speak of the last one only."""
        self.calls.failed(request_data.get("litellm_call_id"), exception)

    # -- the proxy --------------------------------------------------------------------------------------------------

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any) -> None:
        """The gate of LiteLLM's proxy: 402 where a budget is spent or a run is stopped, 429 where it frees.

        Raises:
            fastapi.HTTPException: what the proxy turns into an answer in the client's protocol.
        """
        from fastapi import HTTPException  # noqa: PLC0415  the proxy's own framework

        try:
            kind, owner = str(getattr(call_type, "value", call_type)), data.get("litellm_logging_obj")
            self.calls.begin(kind, (), {**data, "model": _deployment(data)}, owner)
        except StoppedError as stop:
            raise HTTPException(*_answer(stop)) from None


def _answer(stop: StoppedError) -> tuple[int, dict[str, str], dict[str, str] | None]:
    """Status, detail and headers."""
    detail, seconds = {"error": str(stop), "code": f"runguard_{stop.rule}"}, stop.retry_seconds(datetime.now(UTC))
    return (402, detail, None) if seconds is None else (429, detail, {"retry-after": str(seconds)})


def _deployment(data: dict[str, Any]) -> str:
    """The model behind a name of the proxy's list: that is what has a price."""
    asked = str(data.get("model"))
    proxy = sys.modules.get("litellm.proxy.proxy_server")
    router = getattr(proxy, "llm_router", None)
    for row in (router.get_model_list(model_name=asked) or ()) if router is not None else ():
        found = str(row["litellm_params"].get("model"))
        if "*" not in found:
            return found
    return asked


# -- what is wrapped ------------------------------------------------------------------------------------------------


def _setup(original: Callable[..., Any]) -> Callable[..., Any]:
    def function_setup(original_function: str, rules_obj: Any, start_time: Any, *args: Any, **kwargs: Any) -> Any:
        logger = _active
        if logger is None:
            return original(original_function, rules_obj, start_time, *args, **kwargs)
        logger.register()
        owner, made = original(original_function, rules_obj, start_time, *args, **kwargs)
        if "proxy_server_request" not in kwargs:
            made = logger.calls.begin(original_function, args, made, owner)
        return owner, made

    return function_setup


def _processing(original: Callable[..., Any]) -> Callable[..., Any]:
    def post_call_processing(original_response: Any, model: Any, optional_params: Any, *args: Any, **kwargs: Any) -> Any:
        key = (optional_params or {}).get("litellm_call_id")
        if _active is not None and not inspect.isawaitable(original_response):
            _active.calls.answered(key, original_response)
        return original(original_response, model, optional_params, *args, **kwargs)

    return post_call_processing


def _scope(*_: Any, **__: Any) -> AbstractContextManager[None]:
    """A call of the user, or a retry of LiteLLM's: a stop inside comes out of it."""
    return _active.calls.scope() if _active is not None else nullcontext()


def _retried(answer: Any, *_: Any, **kwargs: Any) -> None:
    """A retry has succeeded, of which LiteLLM tells nobody."""
    if _active is not None and not (hasattr(answer, "__next__") or hasattr(answer, "__anext__")):
        _active.calls.answered(kwargs.get("litellm_call_id"), answer)


def _begun(original: Callable[..., None]) -> Callable[..., None]:
    def begun(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if _active is not None:
            _active.calls.stream(getattr(self.logging_obj, "litellm_call_id", None), self)

    return begun


class _Following(AbstractContextManager[None]):
    """The next chunk of a stream is fetched; its end is settled before the program hears of it."""

    def __init__(self, stream: Any) -> None:
        """Whose chunk."""
        self._stream = stream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """No chunk: it was the last one, or the stream broke off."""
        if error is not None and _active is not None:
            broken = None if isinstance(error, (StopIteration, StopAsyncIteration)) else error
            _active.calls.ended(getattr(self._stream.logging_obj, "litellm_call_id", None), self._stream, broken)


def _wrap_all() -> None:
    """Wrap what is there; once."""
    if _wraps:
        return
    _wraps.wrap(litellm.utils, "function_setup", _setup)
    _wraps.wrap(litellm.utils, "post_call_processing", _processing)
    _wraps.wrap(CustomStreamWrapper, "__init__", _begun)
    for name in ("__next__", "__anext__"):
        _wraps.wrap(CustomStreamWrapper, name, lambda original: inside(original, _Following))
    for name in OPERATIONS:
        _wraps.wrap(litellm, name, lambda original: inside(original, _scope))
    for name in _RETRYING:
        _wraps.wrap(litellm, name, lambda original: inside(original, _scope, _retried))
    for name in ("create", "acreate"):
        _wraps.wrap(litellm.anthropic_interface.messages, name, lambda original: inside(original, _scope))


def attach(guard: Guard) -> None:
    """Hook a guard in."""
    RunGuardLogger(guard)


def detach() -> None:
    """Undo everything; what others have wrapped since then stays, and does nothing of ours."""
    global _active
    logger, _active = _active, None
    _wraps.undo()
    for found in list(vars(litellm).values()):  # LiteLLM copies what is registered into lists of its own
        if isinstance(found, list) and logger in found:
            found.remove(logger)
