"""A program without a framework: the provider's own client, reserved and settled by hand as the README shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from runguard_core import (
    Budget,
    CallFilter,
    Guard,
    ModelCall,
    StoppedError,
    Usage,
    read_answer,
    read_chunks,
    read_error,
    read_prompt,
)
from runguard_core.testing import FakeProvider, Reply

MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]


def test_a_call_of_a_plain_client_is_metered_and_stopped(make_guard: Callable[..., Guard]) -> None:
    """What the answer reports is what is charged; the next call is not sent."""
    guard = make_guard(budgets=[Budget("1 calls", period="lifetime")])
    with FakeProvider([Reply(input_tokens=100, output_tokens=20, cached_tokens=30)]) as provider:
        client = openai.OpenAI(base_url=provider.openai_url, api_key="x", max_retries=0)
        call = ModelCall(model="gpt-4o-mini", **read_prompt(MESSAGES)._asdict())
        with guard.reserve(call) as held:
            held.settle(read_answer(client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)))  # type: ignore[arg-type]
        with pytest.raises(StoppedError):
            guard.reserve(call)
        assert provider.request_count == 1
    (only,) = guard.store.calls(CallFilter())
    assert only.settlement is not None
    assert only.settlement.usage == Usage(input_tokens=100, output_tokens=20, cache_read_input_tokens=30)
    assert {part.origin: part.chars for part in only.parts} == {"system": 8, "user": 2}


def test_an_error_of_a_plain_client_is_voided(make_guard: Callable[..., Guard]) -> None:
    """By the status that the server sent."""
    guard = make_guard()
    with FakeProvider([Reply(status=429)]) as provider:
        client = openai.OpenAI(base_url=provider.openai_url, api_key="x", max_retries=0)
        held = guard.reserve(ModelCall(model="gpt-4o-mini"))
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)  # type: ignore[arg-type]
        held.settle(read_error(caught.value))
    assert [call.state.value for call in guard.store.calls(CallFilter())] == ["voided"]


def test_a_plain_client_that_gets_the_same_answer_for_ever_is_stopped(make_guard: Callable[..., Guard]) -> None:
    """A parser's loop by hand: five answers, streamed or whole, and the sixth prompt is not sent. No text is kept."""
    guard, messages, said = make_guard(), [*MESSAGES], "{'city': 'Graz', 'and nothing else'"
    with FakeProvider([Reply(text=said)]) as provider, guard.session("s"):
        client = openai.OpenAI(base_url=provider.openai_url, api_key="x", max_retries=0)
        with pytest.raises(StoppedError) as caught:
            for n in range(9):
                with guard.reserve(ModelCall(model="gpt-4o-mini", **read_prompt(messages)._asdict())) as held:
                    asked: Any = {"model": "gpt-4o-mini", "messages": messages}
                    if n % 2:
                        held.settle(read_chunks(list(client.chat.completions.create(**asked, stream=True)), is_whole=True))
                    else:
                        held.settle(read_answer(client.chat.completions.create(**asked)))
                messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "That is no JSON."}]
        assert provider.request_count == 5
    assert caught.value.rule == "same_answer"
    settled = [call.settlement for call in guard.store.calls(CallFilter())]
    assert {one.result_hash for one in settled if one} == {guard.fingerprint(said)}
    assert said not in repr(guard.store.calls(CallFilter())) + repr(guard.store.events())
