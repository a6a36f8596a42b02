"""Attaching the handler without touching the program: for a block, for the whole process, or for one model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.tracers.context import register_configure_hook

from runguard_core import Guard
from runguard_langchain._handler import RUN, RunGuardCallbackHandler

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

M = TypeVar("M", bound="BaseChatModel")
_ACTIVE: ContextVar[RunGuardCallbackHandler | None] = ContextVar("runguard_langchain", default=None)


class _Hook:
    """What LangChain asks for a handler whenever it sets up callbacks.

    LangChain calls only `get()`: a context variable's answer, with the process-wide handler where there is none. That is
    what makes bare threads visible, whose context variables are empty.
    """

    installed: RunGuardCallbackHandler | None = None

    def get(self) -> RunGuardCallbackHandler | None:
        """The handler for calls made here; None costs LangChain nothing."""
        return _ACTIVE.get() or self.installed


_hook = _Hook()
register_configure_hook(_hook, inheritable=True)  # type: ignore[arg-type]  # used as a context variable, see above


@contextmanager
def activate(guard: Guard, *, run: str | None = None) -> Iterator[Guard]:
    """Meter and guard every LangChain call made inside the block (tasks and copied contexts included).

    Args:
        guard: whose.
        run: the run that calls without a known parent belong to.
    """
    token, run_token = _ACTIVE.set(RunGuardCallbackHandler(guard)), RUN.set(run or RUN.get())
    try:
        yield guard
    finally:
        RUN.reset(run_token)
        _ACTIVE.reset(token)


def install(guard: Guard) -> None:
    """Meter and guard every LangChain call of this process, bare threads included. A second guard replaces the first."""
    _hook.installed = RunGuardCallbackHandler(guard)


def uninstall() -> None:
    """Undo `install`."""
    _hook.installed = None


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
