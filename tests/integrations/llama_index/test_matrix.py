"""LlamaIndex's part of the matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI

from runguard_core import Guard
from tests.integrations.matrix import CELLS, TOOL, ids, play


def _messages(messages: list[dict[str, Any]]) -> list[ChatMessage]:
    names = ("tool_calls", "tool_call_id")
    return [
        ChatMessage(role=one["role"], content=one["content"], additional_kwargs={key: one[key] for key in names if key in one})
        for one in messages
    ]


class Asks:
    """A question through LlamaIndex."""

    def _chat(self, url: str, model: str, seconds: float | None) -> OpenAI:
        more = {"timeout": seconds} if seconds else {}
        return OpenAI(model=model, api_base=url, api_key="x", max_retries=0, **more)

    def sync(
        self, url: str, model: str, messages: list[dict[str, Any]], *, seconds: float | None, is_stream: bool, pieces: int
    ) -> None:
        """`chat`, `stream_chat`."""
        chat = self._chat(url, model, seconds)
        if not is_stream:
            chat.chat(_messages(messages), tools=[TOOL])
            return
        answer = chat.stream_chat(_messages(messages), tools=[TOOL])
        for place, _ in enumerate(answer, 1):
            if place == pieces:
                answer.close()  # type: ignore[attr-defined]
                return

    async def asynchronous(
        self, url: str, model: str, messages: list[dict[str, Any]], *, seconds: float | None, is_stream: bool, pieces: int
    ) -> None:
        """`achat`, `astream_chat`."""
        chat = self._chat(url, model, seconds)
        if not is_stream:
            await chat.achat(_messages(messages), tools=[TOOL])
            return
        answer, place = await chat.astream_chat(_messages(messages), tools=[TOOL]), 0
        async for _ in answer:
            place += 1
            if place == pieces:
                await answer.aclose()  # type: ignore[attr-defined]
                return


@pytest.mark.parametrize(("mode", "usage", "ending", "place"), CELLS, ids=ids(CELLS))
def test_cell(mode: str, usage: str, ending: str, place: str, guarded: Callable[..., Guard]) -> None:
    """Requests, entries, tokens and cost agree; after a stop nothing is sent."""
    play(Asks(), guarded(), mode, usage, ending, place)
