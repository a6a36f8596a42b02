"""Wrapping a framework's functions, and putting back what was there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from runguard_core import Wraps, inside


def framework() -> SimpleNamespace:
    """A module of someone else's."""

    def call(value: int) -> int:
        """Their words."""
        return value + 1

    return SimpleNamespace(call=call, limit=3)


def doubled(original: Any) -> Any:
    """Twice what was there."""
    return lambda value: 2 * original(value)


def test_what_is_wrapped_is_put_back() -> None:
    """It looks as it did; what is not there, or no function, is passed over."""
    theirs, wraps = framework(), Wraps()
    before = theirs.call
    assert not wraps
    for name in ("call", "gone", "limit"):
        wraps.wrap(theirs, name, doubled)
    assert wraps
    assert (theirs.call(1), theirs.call.__doc__, theirs.limit) == (4, "Their words.", 3)
    wraps.undo()
    assert theirs.call is before
    assert not wraps


def test_what_others_have_wrapped_since_stays() -> None:
    """Ours is inside of it, and cannot be taken out."""
    theirs, wraps = framework(), Wraps()
    wraps.wrap(theirs, "call", doubled)
    outer = doubled(theirs.call)
    theirs.call = outer
    wraps.undo()
    assert theirs.call is outer


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_is_called_inside_a_context(is_async: bool) -> None:
    """Which is made of the call's arguments; an answer is told after it, an error is not."""
    said: list[Any] = []

    @contextmanager
    def scope(value: int) -> Iterator[None]:
        said.append(("in", value))
        try:
            yield
        finally:
            said.append("out")

    def call(value: int) -> float:
        return 1 / value

    async def acall(value: int) -> float:
        return 1 / value

    made = inside(acall if is_async else call, scope, lambda answer, value: said.append((answer, value)))

    def run(value: int) -> Any:
        return asyncio.run(made(value)) if is_async else made(value)

    assert run(2) == 0.5
    with pytest.raises(ZeroDivisionError):
        run(0)
    assert said == [("in", 2), "out", (0.5, 2), ("in", 0), "out"]
