"""Wrapping a framework's functions, and putting back what was there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class Wraps:
    """Attributes of a framework that have been wrapped."""

    def __init__(self) -> None:
        """None yet."""
        self._made: list[tuple[Any, str, Any, Any]] = []

    def __bool__(self) -> bool:
        """Whether anything is wrapped."""
        return bool(self._made)

    def wrap(self, owner: Any, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Replace a function of a module or class by what `around` makes of it; one that is not there is passed over."""
        original = getattr(owner, name, None)
        if callable(original):
            made = functools.wraps(original)(around(original))
            setattr(owner, name, made)
            self._made.append((owner, name, original, made))

    def undo(self) -> None:
        """Put everything back; what others have wrapped since then stays."""
        for owner, name, original, made in self._made:
            if owner.__dict__.get(name) is made:
                setattr(owner, name, original)
        self._made.clear()


def inside(
    original: Callable[..., Any],
    scope: Callable[..., AbstractContextManager[Any]],
    after: Callable[..., None] | None = None,
) -> Callable[..., Any]:
    """The function, sync or async, called inside a context.

    Args:
        original: what is called.
        scope: makes the context of the call's arguments.
        after: is told the answer and the call's arguments once the context has been left without an error.
    """
    if inspect.iscoroutinefunction(original):

        async def acall(*args: Any, **kwargs: Any) -> Any:
            with scope(*args, **kwargs):
                answer = await original(*args, **kwargs)
            if after is not None:
                after(answer, *args, **kwargs)
            return answer

        return acall

    def call(*args: Any, **kwargs: Any) -> Any:
        with scope(*args, **kwargs):
            answer = original(*args, **kwargs)
        if after is not None:
            after(answer, *args, **kwargs)
        return answer

    return call
