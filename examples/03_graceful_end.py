"""With the middleware a stopped agent ends with an ordinary last message instead of an exception."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from runguard_core import Budget, Guard
from runguard_core.testing import FakeProvider, Reply, ToolUse
from runguard_langchain import RunGuardMiddleware


@tool
def read(page: int) -> str:
    """Read a page."""
    return f"page {page}"


guard = Guard(app="example-graceful", store="memory://", budgets=[Budget("4 calls", per=["run"])])
with FakeProvider(lambda r: Reply(tool_calls=(ToolUse("read", {"page": r.index}),))) as provider:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="test")
    agent = create_agent(model, [read], middleware=[RunGuardMiddleware(guard, message=lambda stop: "I stop here.")])
    answer = agent.invoke({"messages": [("user", "Read the whole book")]})["messages"][-1]
    print(answer.content, answer.response_metadata["runguard"]["rule"])
    assert (answer.content, provider.request_count) == ("I stop here.", 4)
guard.close()
