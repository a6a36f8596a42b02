"""Guarding plain Python: `guard.model_call(...)` around a request, `@guard.tool` on a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from runguard_core.calls import ModelCall, Outcome, OutcomeKind, PromptPart, ToolCall

if TYPE_CHECKING:
    from runguard_core.attribution import Attribution
    from runguard_core.calls import Call
    from runguard_core.guard._reservation import Reservation

P = ParamSpec("P")
R = TypeVar("R")


class PlainCalls:
    """The part of `Guard` for code without a framework."""

    def reserve(
        self,
        call: Call,
        attribution: Attribution | None = None,
        *,
        call_id: str | None = None,
        by: str = "",
        model_names: tuple[str, ...] = (),
    ) -> Reservation:
        """See `Guard.reserve`."""
        raise NotImplementedError

    def model_call(
        self, model: str, *, prompt: str | None = None, max_output_tokens: int | None = None, **facts: Any
    ) -> Reservation:
        """Reserve a model call; use the reservation with `with` and post the usage inside.

        Args:
            model: name asked for. prompt: its text, measured and not kept. max_output_tokens: the request's limit.
            facts: further fields of `ModelCall`.

        Raises:
            StoppedError: the call must not be sent.
        """
        if prompt is not None:
            facts.setdefault("parts", (PromptPart("user", len(prompt)),))
            facts.setdefault("input_bytes", len(prompt.encode("utf-8", "replace")))
        facts.setdefault("can_cap_output", max_output_tokens is None)
        return self.reserve(ModelCall(model=model, max_output_tokens=max_output_tokens, **facts))

    @overload
    def tool(self, function: Callable[P, R]) -> Callable[P, R]: ...
    @overload
    def tool(self, *, name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def tool(self, function: Callable[P, R] | None = None, *, name: str | None = None) -> Any:
        """Guard a function as a tool: its calls are counted, attributed and watched for loops.

        Raises (when called):
            StoppedError: the tool must not be run.
        """
        if function is None:
            return lambda wrapped: self._wrapped(wrapped, name or wrapped.__name__)
        return self._wrapped(function, name or function.__name__)

    def _wrapped(self, function: Callable[P, R], name: str) -> Callable[P, R]:
        """The function between a reserve and a settle."""
        shape = inspect.signature(function)

        def reserved(args: Any, kwargs: Any) -> Reservation:
            arguments = shape.bind(*args, **kwargs).arguments
            return self.reserve(ToolCall(name=name, arguments=arguments))

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with reserved(args, kwargs) as reservation:
                    result = await function(*args, **kwargs)
                    reservation.settle(Outcome(kind=OutcomeKind.COMPLETED, result=result))
                    return result

            return cast("Callable[P, R]", guarded_async)

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            with reserved(args, kwargs) as reservation:
                result = function(*args, **kwargs)
                reservation.settle(Outcome(kind=OutcomeKind.COMPLETED, result=result))
                return result

        return guarded
