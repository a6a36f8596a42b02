"""LiteLLM's part of the matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import litellm
import pytest

from runguard_core import Guard
from tests.integrations.matrix import CELLS, TOOL, ids, play


class Asks:
    """A question through LiteLLM."""

    def _given(self, url: str, model: str, messages: list[dict[str, Any]], seconds: float | None) -> dict[str, Any]:
        more = {"timeout": seconds} if seconds else {}
        return {
            "model": f"openai/{model}",
            "messages": messages,
            "tools": [TOOL],
            "api_base": url,
            "api_key": "x",
            "max_retries": 0,
            **more,
        }

    def sync(
        self, url: str, model: str, messages: list[dict[str, Any]], *, seconds: float | None, is_stream: bool, pieces: int
    ) -> None:
        """`completion`."""
        answer = litellm.completion(stream=is_stream, **self._given(url, model, messages, seconds))
        for place, _ in enumerate(answer if is_stream else (), 1):
            if place == pieces:
                answer.close()
                return

    async def asynchronous(
        self, url: str, model: str, messages: list[dict[str, Any]], *, seconds: float | None, is_stream: bool, pieces: int
    ) -> None:
        """`acompletion`."""
        answer = await litellm.acompletion(stream=is_stream, **self._given(url, model, messages, seconds))
        place = 0
        async for _ in answer if is_stream else _nothing():
            place += 1
            if place == pieces:
                await answer.aclose()
                return


async def _nothing() -> Any:
    for none in ():
        yield none


@pytest.mark.parametrize(("mode", "usage", "ending", "place"), CELLS, ids=ids(CELLS))
def test_cell(mode: str, usage: str, ending: str, place: str, guarded: Callable[..., Guard]) -> None:
    """Requests, entries, tokens and cost agree; after a stop nothing is sent."""
    play(Asks(), guarded(), mode, usage, ending, place)
