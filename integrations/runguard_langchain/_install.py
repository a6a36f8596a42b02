"""Attaching the handler without touching the program: for a block, or for the whole process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from langchain_core.tracers.context import register_configure_hook

from runguard_core import Guard
from runguard_langchain._handler import RunGuardCallbackHandler
from runguard_langchain._tree import RUN

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
