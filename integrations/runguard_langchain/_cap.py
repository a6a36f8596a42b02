"""`guard_model`: one guarded model, whose `max_tokens` is lowered to what was reserved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any, TypeVar

from langchain_core.language_models.chat_models import BaseChatModel

from runguard_core import Guard
from runguard_langchain._handler import RunGuardCallbackHandler

M = TypeVar("M", bound=BaseChatModel)


def guard_model(model: M, guard: Guard) -> M:
    """A copy of the model that is metered wherever it is called, bare threads included.

    Where the policy asks for bound quotes (or `cap_output`), each request's `max_tokens` is lowered to what was
    reserved, which makes the quote a bound.
    """
    made = model.model_copy()
    callbacks = made.callbacks
    handlers = list(callbacks) if isinstance(callbacks, list) else list(callbacks.handlers) if callbacks else []
    made.callbacks = [*handlers, RunGuardCallbackHandler(guard)]
    made.metadata = {**(made.metadata or {}), "runguard_can_cap_output": True}
    object.__setattr__(made, "__class__", _capping(type(model)))
    return made


def _capped(run_manager: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The request's parameters, with the limit of the reservation that stands for this run."""
    for handler in getattr(run_manager, "handlers", ()):
        if isinstance(handler, RunGuardCallbackHandler):
            cap = handler.output_cap(run_manager.run_id)
            if cap is not None:
                asked = kwargs.get("max_tokens")
                return {**kwargs, "max_tokens": cap if asked is None else min(cap, asked)}
    return kwargs


@cache
def _capping(cls: type[Any]) -> type[Any]:
    """A subclass that looks like the class and lowers the limit on the way to the provider."""

    class Capping(cls):  # type: ignore[misc]  # the class is known at run time only
        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
            return super()._generate(messages, stop, run_manager, **_capped(run_manager, kwargs))

        async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
            return await super()._agenerate(messages, stop, run_manager, **_capped(run_manager, kwargs))

        def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
            yield from super()._stream(messages, stop, run_manager, **_capped(run_manager, kwargs))

        async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
            async for chunk in super()._astream(messages, stop, run_manager, **_capped(run_manager, kwargs)):
                yield chunk

    Capping.__name__, Capping.__qualname__, Capping.__module__ = cls.__name__, cls.__qualname__, cls.__module__
    return Capping
