"""Run by `runguard doctor` in a process of its own: every way LiteLLM calls a model."""

import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network for prices

import litellm

from runguard_core.testing import FakeProvider, check_kinds

litellm.suppress_debug_info = True
HI = [{"role": "user", "content": "hi"}]


def to(provider: FakeProvider, model: str = "openai/gpt-4o-mini", **more: object) -> dict:
    """Arguments of a call to the provider."""
    return {"model": model, "api_base": provider.openai_url, "api_key": "x", "max_retries": 0, **more}


def router(provider: FakeProvider) -> litellm.Router:
    """With one deployment."""
    return litellm.Router([{"model_name": "chat", "litellm_params": to(provider)}], num_retries=1)


async def _drain(stream) -> None:
    async for _ in await stream:
        pass


check_kinds(
    "litellm",
    {
        "completion": lambda p: litellm.completion(messages=HI, **to(p)),
        "completion, stream": lambda p: list(litellm.completion(messages=HI, stream=True, **to(p))),
        "acompletion": lambda p: asyncio.run(litellm.acompletion(messages=HI, **to(p))),
        "acompletion, stream": lambda p: asyncio.run(_drain(litellm.acompletion(messages=HI, stream=True, **to(p)))),
        "text_completion": lambda p: litellm.text_completion(prompt="hi", **to(p)),
        "embedding": lambda p: litellm.embedding(input=["hi"], **to(p, "openai/text-embedding-3-small")),
        "responses": lambda p: litellm.responses(input="hi", **to(p)),
        "anthropic.messages": lambda p: asyncio.run(
            litellm.anthropic.messages.acreate(
                messages=HI, max_tokens=30, model="anthropic/claude-sonnet-4-6", api_base=p.url, api_key="x"
            )
        ),
        "image_generation": lambda p: litellm.image_generation(prompt="hi", **to(p, "openai/gpt-image-1")),
        "transcription": lambda p: litellm.transcription(file=("a.wav", b"RIFF"), **to(p, "openai/gpt-4o-transcribe")),
        "Router.completion": lambda p: router(p).completion(model="chat", messages=HI),
        "Router.acompletion": lambda p: asyncio.run(router(p).acompletion(model="chat", messages=HI)),
    },
    (
        "litellm.utils:function_setup", "litellm.utils:post_call_processing",
        "litellm.litellm_core_utils.streaming_handler:CustomStreamWrapper.__next__",
        "litellm.litellm_core_utils.streaming_handler:CustomStreamWrapper.__anext__",
    ),
)  # fmt: skip
