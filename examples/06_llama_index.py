"""A LlamaIndex agent that loops is stopped before its next request. Offline: the provider is a local server."""

import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # the model below may be LiteLLM's, which asks the network for prices

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool

from runguard_core import Guard, StoppedError
from runguard_core.testing import FakeProvider, Reply, ToolUse

try:
    from llama_index.llms.openai import OpenAI as Model
except ImportError:
    from llama_index.llms.litellm import LiteLLM as Model


async def search(query: str) -> str:
    """Search the catalogue."""
    return "no results"


async def main() -> None:
    """Ask for what is not there."""
    with FakeProvider([Reply(tool_calls=(ToolUse("search", {"query": "unicorns"}),))]) as provider:
        model = Model(model="gpt-4o-mini", api_base=provider.openai_url, api_key="test")
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(async_fn=search)], llm=model, name="shop")
        with guard.session("t-1", user="ann"):
            try:
                await agent.run("Find me a unicorn")
            except StoppedError as stop:
                print(stop)
        print(f"the provider saw {provider.request_count} requests")
        assert provider.request_count == 3


guard = Guard(app="example-llama-index", store="memory://", max_cost_per_session_usd="0.50")
guard.install("llama_index")
asyncio.run(main())
guard.close()
