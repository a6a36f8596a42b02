"""Whose a call is: agents and sub-agents, sessions, turns and tool loops, users and tags."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from runguard_core import StoppedError
from runguard_core.attribution import clean
from runguard_core.reports import explain
from runguard_core.testing import Reply
from runguard_langchain import RunGuardCallbackHandler, activate
from tests.integrations.langchain.conftest import lookup, looping, openai
from tests.integrations.ledger import calls

ASK = {"messages": [("user", "hi")]}
DONE = Reply(text="done", input_tokens=10, output_tokens=2)


class State(TypedDict, total=False):
    """What the graphs here pass on."""

    x: str


def test_agent_session_turn_and_tool_loop(serve: Any, make_guard: Any) -> None:
    """Three turns of one loop, then a second question on the same thread: a new run, a new loop."""
    provider = serve([looping(q="a"), looping(q="b"), DONE, DONE])
    guard = make_guard()
    agent = create_agent(openai(provider), [lookup], name="planner", checkpointer=InMemorySaver())
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)], "configurable": {"thread_id": "t-1"}}
    agent.invoke(ASK, config=config)
    agent.invoke(ASK, config=config)
    who = [call.attribution for call in calls(guard)]
    assert {(w.agent, w.session) for w in who} == {("planner", "t-1")}
    assert [(w.turn, w.loop) for w in who] == [(1, 1), (2, 1), (3, 1), (1, 1)]
    assert len({w.run for w in who}) == 2
    assert [(c.name, c.attribution.turn) for c in calls(guard, "tool")] == [("lookup", 1), ("lookup", 2)]


def test_sub_agents_have_their_own_name_turns_and_history(serve: Any, make_guard: Any) -> None:
    """An agent called by a tool of another; both in one run."""

    def script(request: Any) -> Reply:
        text = str(request.body["messages"])
        if "delegate" in str(request.body.get("tools")):
            return DONE if "child says" in text else looping("delegate", task="x")
        return DONE if "found" in text else looping(q="a")

    provider, guard = serve(script), make_guard()
    child = create_agent(openai(provider), [lookup], name="child")

    @tool
    def delegate(task: str) -> str:
        """Hand a task to the child."""
        return "child says " + str(child.invoke({"messages": [("user", task)]})["messages"][-1].content)

    parent = create_agent(openai(provider), [delegate], name="parent")
    parent.invoke(ASK, config={"callbacks": [RunGuardCallbackHandler(guard)]})
    who = [call.attribution for call in calls(guard)]
    assert sorted((w.agent, w.turn) for w in who) == [("child", 1), ("child", 2), ("parent", 1), ("parent", 2)]
    assert len({w.run for w in who}) == 1
    assert len({w.instance for w in who}) == 2


def test_flat_metadata_keys_become_attribution(serve: Any, make_guard: Any) -> None:
    """Feature, team, owner, user, session, release and tags; hostile ones cleaned."""
    provider, guard = serve(), make_guard()
    metadata = {
        "runguard_feature": "search", "runguard_team": "t", "runguard_owner": "o", "runguard_user": "u\0", "runguard_session": "s" * 9000,
        "runguard_release": 7, "runguard_tag_tier": "free", "runguard_tag_odd": "\ud800", "unrelated": 1,
    }  # fmt: skip
    openai(provider).invoke("hi", config={"callbacks": [RunGuardCallbackHandler(guard)], "metadata": metadata})
    who = calls(guard)[0].attribution
    assert (who.feature, who.team, who.owner, who.user, who.release) == ("search", "t", "o", clean("u\0"), "7")
    assert who.session == clean("s" * 9000)
    assert who.tags == (("odd", clean("\ud800")), ("tier", "free"))


def test_nested_configs_merge_their_keys(serve: Any, make_guard: Any) -> None:
    """A tag given to the chain and one given to the model both arrive."""
    provider, guard = serve(), make_guard()
    model = openai(provider).with_config(metadata={"runguard_tag_inner": "1"})
    model.invoke("hi", config={"callbacks": [RunGuardCallbackHandler(guard)], "metadata": {"runguard_tag_outer": "2"}})
    assert calls(guard)[0].attribution.tags == (("inner", "1"), ("outer", "2"))


def test_the_ambient_session_is_used_where_the_config_names_none(serve: Any, make_guard: Any) -> None:
    """Threads of LangChain's own and tasks included."""
    provider, guard = serve(), make_guard()
    with guard.session("ambient", user="u"), activate(guard):
        openai(provider).batch(["a", "b", "c"])
        asyncio.run(openai(provider).abatch(["a", "b"]))
    assert {(c.attribution.session, c.attribution.user) for c in calls(guard)} == {("ambient", "u")}
    assert len(calls(guard)) == 5


def test_subgraphs_are_named_by_their_graph(serve: Any, make_guard: Any) -> None:
    """A graph in a graph."""
    provider, guard = serve(), make_guard()
    model = openai(provider)

    def node(state: State) -> State:
        model.invoke("hi")
        return {}

    inner: Any = StateGraph(State)
    inner.add_node("think", node)
    inner.add_edge(START, "think")
    inner.add_edge("think", END)
    outer: Any = StateGraph(State)
    outer.add_node("first", node)
    outer.add_node("second", inner.compile(name="researcher"))
    outer.add_edge(START, "first")
    outer.add_edge("first", "second")
    outer.compile(name="boss").invoke({"x": ""}, config={"callbacks": [RunGuardCallbackHandler(guard)]})
    assert [call.attribution.agent for call in calls(guard)] == ["boss", "researcher"]


def test_a_tripped_run_stays_stopped_and_the_next_is_a_probe(serve: Any, make_guard: Any) -> None:
    """The loop is refused at its first sign; other work passes and closes the latch."""
    provider = serve(lambda r: DONE if "weather" in str(r.body["messages"]) else looping(q="same"))
    guard = make_guard()
    agent = create_agent(openai(provider), [lookup], name="a")
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)], "configurable": {"thread_id": "t"}}
    sent = []
    for question in ("loop", "loop", "weather", "loop"):
        before = provider.request_count
        try:
            agent.invoke({"messages": [("user", question)]}, config=config)
        except StoppedError as stop:
            assert stop.partial
            assert stop.summary is not None
        sent.append(provider.request_count - before)
    assert sent == [3, 1, 1, 3]


def test_what_a_prompt_is_made_of_is_kept_as_sizes(serve: Any, make_guard: Any) -> None:
    """Origins and characters, never content; explained costs add up to the session's."""
    secret = "the user's secret"
    provider, guard = serve([looping(q="a"), looping(q="b"), DONE]), make_guard()
    agent = create_agent(openai(provider), [lookup], name="a", system_prompt="be kind")
    config: Any = {"callbacks": [RunGuardCallbackHandler(guard)], "configurable": {"thread_id": "t"}}
    agent.invoke({"messages": [("user", secret)]}, config=config)
    last = {part.origin: part for part in calls(guard)[-1].parts}
    assert set(last) == {"system", "user", "assistant", "tool:lookup", "tools"}
    assert (last["system"].chars, last["user"].chars, last["tool:lookup"].chars) == (7, len(secret), 2 * len("found a"))
    everything = calls(guard) + calls(guard, "tool")
    assert secret not in repr(everything)
    assert "found a" not in repr(everything)
    found = explain("t", tuple(everything), ())
    assert sum(o.nanos for o in found.origins) + found.output_nanos == found.spend.nanos == sum(c.cost_nanos for c in everything)
    assert next(o for o in found.origins if o.origin == "user").again_count == 2
