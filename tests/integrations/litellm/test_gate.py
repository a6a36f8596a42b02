"""Every kind of call LiteLLM makes is stopped before its request, as a `StoppedError`, and metered when it passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import litellm
import pytest
from litellm import acompletion as acompletion_taken_early
from litellm import completion as completion_taken_early

from runguard_core import Budget, Guard, StoppedError
from runguard_core.testing import FakeProvider, Reply
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls, tokens
from tests.integrations.litellm.conftest import HI, openai, run

Guarded = Callable[..., Guard]
ONE_CALL = Budget("1 calls", period="lifetime")


def router(provider: FakeProvider, **more: Any) -> litellm.Router:
    """A router with one deployment."""
    given = openai(provider)
    params = {key: given[key] for key in ("model", "api_base", "api_key", "max_retries")}
    return litellm.Router([{"model_name": "chat", "litellm_params": params}], num_retries=2, **more)


def _embedding(provider: FakeProvider) -> dict[str, Any]:
    return {"model": "openai/text-embedding-3-small", "input": ["a", "b"], "api_base": provider.openai_url, "api_key": "x"}


def _prompt(provider: FakeProvider) -> dict[str, Any]:
    return {"prompt": "hi", **{key: value for key, value in openai(provider).items() if key != "messages"}}


def _messages(provider: FakeProvider) -> dict[str, Any]:
    return {"model": "anthropic/claude-sonnet-4-6", "messages": HI, "max_tokens": 30, "api_base": provider.url, "api_key": "x"}


def _media(provider: FakeProvider, model: str) -> dict[str, Any]:
    return {"model": f"openai/{model}", "api_base": provider.openai_url, "api_key": "x"}


def _rerank(provider: FakeProvider) -> dict[str, Any]:
    return {"model": "cohere/rerank-v3.5", "query": "q", "documents": ["a"], "api_base": f"{provider.url}/rerank", "api_key": "x"}


async def _drain(stream: Any) -> None:
    async for _ in await stream:
        pass


def _responses(provider: FakeProvider) -> dict[str, Any]:
    return {**_media(provider, "gpt-4o-mini"), "input": "hi"}


KINDS: dict[str, Callable[[FakeProvider], Any]] = {
    "completion": lambda p: litellm.completion(**openai(p)),
    "completion taken early": lambda p: completion_taken_early(**openai(p)),
    "completion stream": lambda p: list(litellm.completion(stream=True, **openai(p))),
    "acompletion": lambda p: run(litellm.acompletion(**openai(p))),
    "acompletion taken early": lambda p: run(acompletion_taken_early(**openai(p))),
    "acompletion stream": lambda p: run(_drain(litellm.acompletion(stream=True, **openai(p)))),
    "anthropic completion": lambda p: litellm.completion(**_messages(p)),
    "anthropic stream": lambda p: list(litellm.completion(stream=True, **_messages(p))),
    "text_completion": lambda p: litellm.text_completion(**_prompt(p)),
    "atext_completion": lambda p: run(litellm.atext_completion(**_prompt(p))),
    "embedding": lambda p: litellm.embedding(**_embedding(p)),
    "aembedding": lambda p: run(litellm.aembedding(**_embedding(p))),
    "responses": lambda p: litellm.responses(**_responses(p)),
    "aresponses": lambda p: run(litellm.aresponses(**_responses(p))),
    "aresponses stream": lambda p: run(_drain(litellm.aresponses(stream=True, **_responses(p)))),
    "anthropic.messages": lambda p: run(litellm.anthropic.messages.acreate(**_messages(p))),
    "anthropic.messages stream": lambda p: run(_drain(litellm.anthropic.messages.acreate(stream=True, **_messages(p)))),
    "image_generation": lambda p: litellm.image_generation(prompt="hi", **_media(p, "gpt-image-1")),
    "speech": lambda p: litellm.speech(input="hi", voice="alloy", **_media(p, "gpt-4o-mini-tts")),
    "transcription": lambda p: litellm.transcription(file=("a.wav", b"RIFF"), **_media(p, "gpt-4o-transcribe")),
    "rerank": lambda p: litellm.rerank(**_rerank(p)),
    "router completion": lambda p: router(p).completion(model="chat", messages=HI),
    "router acompletion": lambda p: run(router(p).acompletion(model="chat", messages=HI)),
    "router stream": lambda p: list(router(p).completion(model="chat", messages=HI, stream=True)),
    "router astream": lambda p: run(_drain(router(p).acompletion(model="chat", messages=HI, stream=True))),
    "ollama embeddings": lambda p: litellm.embedding(model="ollama/nomic-embed-text", input=["a"], api_base=p.url),
    "together rerank": lambda p: litellm.rerank(
        model="together_ai/r", query="q", documents=["a"], api_base=p.openai_url, api_key="x"
    ),
    "replicate": lambda p: litellm.completion(model="replicate/m/v", messages=HI, api_base=p.url, api_key="x"),
}
#: Kinds that the local provider does not answer: the stop is all that is asked of them.
STOP_ONLY = {"ollama embeddings", "together rerank", "replicate"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_call_over_the_cap_is_not_sent_and_arrives_as_a_stop(kind: str, guarded: Guarded, serve: Serve) -> None:
    """The budget is used up by another call; afterwards the server has seen that one only."""
    provider = serve()
    guard = guarded(budgets=[ONE_CALL], unpriced="flag")
    litellm.completion(**openai(provider))
    with pytest.raises(StoppedError) as caught:
        KINDS[kind](provider)
    assert provider.request_count == 1
    assert caught.value.summary is not None
    assert len(calls(guard)) == 1


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - STOP_ONLY))
def test_what_passes_is_one_entry_with_the_usage_that_was_reported(kind: str, guarded: Guarded, serve: Serve) -> None:
    """And it is settled when the call returns or the stream ends, not when LiteLLM's events come."""
    provider = serve([Reply(input_tokens=100, output_tokens=20)])
    guard = guarded(unpriced="flag")
    KINDS[kind](provider)
    (only,) = calls(guard)
    assert provider.request_count == 1
    assert only.state.value == "posted"
    if kind not in {"speech", "rerank"}:
        assert only.settlement is not None
        assert only.settlement.certainty.value in {"exact", "unpriced"}
        assert tokens(guard) == (provider.input_tokens, provider.output_tokens)
        assert only.settlement.usage is not None
        if only.settlement.certainty.value == "exact":  # by our prices, not by what LiteLLM reckons
            rates = guard.rules.prices.rates(only.name, only.provider, only.started_at)
            assert only.cost_nanos == rates.charge(only.settlement.usage)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - STOP_ONLY))
def test_without_the_adapter_nothing_is_left_behind(kind: str, guarded: Guarded, serve: Serve) -> None:
    """Uninstalled means uninstalled."""
    from runguard_litellm import uninstall

    provider, guard = serve(), guarded(budgets=[ONE_CALL])
    uninstall()
    KINDS[kind](provider)
    KINDS[kind](provider)
    assert provider.request_count == 2
    assert calls(guard) == []
