"""LangChain's part of the matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_openai import ChatOpenAI

from runguard_core import Guard
from runguard_langchain import install
from tests.integrations.matrix import CELLS, TOOL, ids, play


class Asks:
    """A question through LangChain."""

    def _chat(self, url: str, model: str, seconds: float | None) -> Any:
        more: dict[str, Any] = {"timeout": seconds} if seconds else {}
        made = ChatOpenAI(model=model, base_url=url, api_key="x", max_retries=0, stream_usage=True, **more)  # type: ignore[arg-type]
        return made.bind_tools([TOOL])

    def sync(
        self, url: str, model: str, messages: list[dict[str, Any]], *, seconds: float | None, is_stream: bool, pieces: int
    ) -> None:
        """`invoke`, `stream`."""
        chat = self._chat(url, model, seconds)
        if not is_stream:
            chat.invoke(messages)
            return
        answer = chat.stream(messages)
        for place, _ in enumerate(answer, 1):
            if place == pieces:
                answer.close()
                return

    async def asynchronous(
        self, url: str, model: str, messages: list[dict[str, Any]], *, seconds: float | None, is_stream: bool, pieces: int
    ) -> None:
        """`ainvoke`, `astream`."""
        chat = self._chat(url, model, seconds)
        if not is_stream:
            await chat.ainvoke(messages)
            return
        answer, place = chat.astream(messages), 0
        async for _ in answer:
            place += 1
            if place == pieces:
                await answer.aclose()
                return


@pytest.mark.parametrize(("mode", "usage", "ending", "place"), CELLS, ids=ids(CELLS))
def test_cell(mode: str, usage: str, ending: str, place: str, make_guard: Callable[..., Guard]) -> None:
    """Requests, entries, tokens and cost agree; after a stop nothing is sent."""
    guard = make_guard()
    install(guard)
    play(Asks(), guard, mode, usage, ending, place)
