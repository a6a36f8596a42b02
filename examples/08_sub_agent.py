"""A sub-agent gets a part of its parent's budget: it cannot pass it, and what it leaves returns. Offline."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from runguard_core import Budget, Guard, StoppedError
from runguard_core.testing import FakeProvider, Reply, Request, ToolUse
from runguard_langchain import install


def script(request: Request) -> Reply:
    """The boss asks the researcher once; the researcher reads one page after the other."""
    if "research" not in str(request.body["tools"]):
        return Reply(tool_calls=(ToolUse("read", {"page": request.index}),), input_tokens=1000, output_tokens=50)
    if "I stopped" in str(request.body["messages"]):
        return Reply(text="Here is what we have.", input_tokens=200, output_tokens=20)
    return Reply(tool_calls=(ToolUse("research", {"topic": "unicorns"}),), input_tokens=100, output_tokens=20)


@tool
def read(page: int) -> str:
    """Read a page."""
    return f"page {page}"


@tool
def research(topic: str) -> str:
    """Let the researcher find out about a topic."""
    try:
        with guard.child(limit="0.002 USD", name="researcher"):
            return researcher.invoke({"messages": [("user", topic)]})["messages"][-1].content
    except StoppedError as stop:
        return f"I stopped: {stop}"


guard = Guard(app="example-sub-agent", store="memory://", budgets=[Budget("0.50 USD", per=["session"])])
install(guard)
with FakeProvider(script) as provider:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="test", max_tokens=100)
    researcher = create_agent(model, [read], name="researcher")
    boss = create_agent(model, [research], name="boss")
    with guard.session("s-42") as session:
        answer = boss.invoke({"messages": [("user", "Are there unicorns?")]})["messages"]
        print(answer[-2].content)
        print(answer[-1].content)
        print(f"spent {session.spent_usd} USD, left {session.available_usd} USD")
    assert answer[-1].content == "Here is what we have."
    assert 5 < provider.request_count < 15
guard.close()
