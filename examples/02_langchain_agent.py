"""A LangChain agent that loops is stopped before its next request. Offline: the provider is a local server."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from runguard_core import Guard, StoppedError
from runguard_core.testing import FakeProvider, Reply, ToolUse
from runguard_langchain import RunGuardCallbackHandler


@tool
def search(query: str) -> str:
    """Search the catalogue."""
    return "no results"


guard = Guard(app="example-agent", store="memory://", max_cost_per_session_usd="0.50", daily_budget_usd=20)
looping = Reply(tool_calls=(ToolUse("search", {"query": "unicorns"}),))
with FakeProvider([looping]) as provider:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="test")
    agent = create_agent(model, [search], name="shop")
    config = {"callbacks": [RunGuardCallbackHandler(guard)], "configurable": {"thread_id": "t-1"}}
    try:
        agent.invoke({"messages": [("user", "Find me a unicorn")]}, config=config)
    except StoppedError as stop:
        print(stop)
        print(f"the conversation so far has {len(stop.partial)} messages")
    print(f"the provider saw {provider.request_count} requests")
    assert provider.request_count == 3
guard.close()
