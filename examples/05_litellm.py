"""LiteLLM under a budget: a stream is stopped before its request. Offline: the provider is a local server."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # LiteLLM asks the network for prices otherwise

import litellm

from runguard_core import Budget, Guard, StoppedError
from runguard_core.testing import FakeProvider, Reply

guard = Guard(app="example-litellm", store="memory://", budgets=[Budget("0.001 USD", per=["session"])])
guard.install("litellm")
HI = [{"role": "user", "content": "Tell me a story"}]
with FakeProvider([Reply(text="Once upon a time", input_tokens=100, output_tokens=400)]) as provider:
    given = {"model": "openai/gpt-4o-mini", "api_base": provider.openai_url, "api_key": "test", "litellm_session_id": "s-1"}
    asked = 0
    try:
        while True:
            asked += 1
            for _ in litellm.completion(messages=HI, stream=True, **given):
                pass
    except StoppedError as stop:
        print(stop)
    print(f"asked {asked} times, the provider saw {provider.request_count} requests")
    assert provider.request_count == asked - 1
guard.close()
