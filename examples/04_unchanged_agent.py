"""An ordinary program that knows nothing of RunGuard.

runguard run --budget "0.05 USD" -- python examples/04_unchanged_agent.py

Run by itself it goes on for ten thousand steps, LangGraph's own limit.
"""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from runguard_core.testing import FakeProvider, Reply, ToolUse


@tool
def lookup(number: int) -> str:
    """Look up a number."""
    return f"{number} is a number"


# stands for the real provider: one answer costs about a cent
with FakeProvider(
    lambda r: Reply(tool_calls=(ToolUse("lookup", {"number": r.index}),), input_tokens=4000, output_tokens=10)
) as provider:
    model = ChatOpenAI(model="gpt-4o", base_url=provider.openai_url, api_key="test")
    agent = create_agent(model, [lookup], name="counter")
    agent.invoke({"messages": [("user", "Count for ever")]})
