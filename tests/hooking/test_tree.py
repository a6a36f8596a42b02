"""A framework's runs as a tree: whose a call is, and what becomes of calls that were never closed."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from runguard_core import CallFilter, CallNode, CallTree, Guard, ModelCall, OpenCall, Outcome, OutcomeKind, Usage
from runguard_core.hooking import _tree

MakeGuard = Callable[..., Guard]


@dataclass(slots=True, eq=False)
class Step(CallNode):
    """An adapter's own node."""

    name: str = ""


def called(guard: Guard, tree: CallTree[Step], key: str, parent: Step | None, seen_chars: int = 0) -> Step:
    """A model call in progress."""
    node = tree.enter(Step(key, parent))
    node.call = OpenCall(guard.reserve(ModelCall(model="gpt-4o-mini"), tree.who(node)), key, seen_chars=seen_chars)
    return node


def states(guard: Guard) -> list[str]:
    """How the ledger's calls stand, in order."""
    return [call.state.value for call in guard.store.calls(CallFilter())]


def test_what_a_run_does_not_say_is_as_in_the_run_around_it(make_guard: MakeGuard) -> None:
    """Agent, instance and run; what the program says of the call goes first."""
    tree: CallTree[Step] = CallTree(make_guard(team="t"))
    root = tree.enter(Step("a", run="r1", agent="planner", instance="i", is_run=True))
    inner = tree.enter(Step("b", tree.find("a")))
    deeper = tree.enter(Step("c", inner, agent="writer"))
    assert [node.key for node in deeper.around()] == ["c", "b", "a"]
    who = tree.who(inner, {"user": "ada"})
    assert (who.run, who.agent, who.instance, who.user, who.team) == ("r1", "planner", "i", "ada", "t")
    assert (tree.who(deeper).agent, tree.who(deeper).run) == ("writer", "r1")
    assert tree.who(deeper, {"agent": "x"}).agent == "x"
    assert tree.who(None, {"agent": "x"}).agent == "x"
    assert list(root.inside()) == [inner]


def test_calls_right_inside_a_run_that_ended_are_charged(make_guard: MakeGuard) -> None:
    """By what was seen of them; they are no longer in progress, and their framework's late word corrects the charge."""
    guard = make_guard()
    tree: CallTree[Step] = CallTree(guard)
    chain = tree.enter(Step("chain"))
    node = called(guard, tree, "model", chain, seen_chars=40)
    tree.leave("chain")
    assert (states(guard), len(tree)) == (["posted"], 0)
    assert node.call is not None
    assert node.call.reservation.is_abandoned


def test_runs_inside_a_run_that_ended_hang_on_the_one_around(make_guard: MakeGuard) -> None:
    """Their calls go on, until RunGuard's run is over: then everything inside is."""
    guard = make_guard()
    tree: CallTree[Step] = CallTree(guard)
    root = tree.enter(Step("root", run="r", is_run=True))
    outer = tree.enter(Step("outer", root))
    inner = tree.enter(Step("inner", outer))
    called(guard, tree, "model", inner)
    tree.leave("outer")
    assert (states(guard), inner.parent, list(root.inside())) == (["pending"], root, [inner])
    tree.leave("root")
    assert (states(guard), len(tree)) == (["posted"], 0)


def test_the_end_of_a_run_is_the_end_of_runguards_run(make_guard: MakeGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and only where the node is one."""
    guard = make_guard()
    ended: list[str | None] = []
    monkeypatch.setattr(guard, "end_run", lambda who: ended.append(who.run))
    tree: CallTree[Step] = CallTree(guard)
    root = tree.enter(Step("root", run="r", is_run=True))
    tree.enter(Step("inner", root))
    tree.leave("inner")
    tree.leave("root")
    assert tree.leave("root") is None
    assert ended == ["r"]


def test_a_framework_that_ends_nothing_does_not_fill_the_memory(make_guard: MakeGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are forgotten at once; what ends later is passed over."""
    monkeypatch.setattr(_tree, "_MAX_NODES", 3)
    tree: CallTree[Step] = CallTree(make_guard())
    for number in range(4):
        tree.enter(Step(number))
    assert len(tree) == 1
    assert tree.leave(0) is None


def test_a_tree_that_its_guard_keeps_keeps_no_guard() -> None:
    """Adapters keep one tree for each guard."""
    guard = Guard(app="test", store="memory://")
    kept: weakref.WeakKeyDictionary[Guard, CallTree[Step]] = weakref.WeakKeyDictionary()
    kept[guard] = CallTree(guard)
    guard.close()
    del guard
    gc.collect()
    assert not kept


def test_a_call_is_settled_before_its_run_is_over_and_a_failed_one_is_known_to_the_next(make_guard: MakeGuard) -> None:
    """Until one is answered; an outcome that cannot be read is charged."""
    guard = make_guard()
    tree: CallTree[Step] = CallTree(guard)
    chain = tree.enter(Step("chain"))
    first = called(guard, tree, "first", chain)
    tree.finish("first", lambda *_: Outcome(kind=OutcomeKind.FAILED, error_status=500))
    assert first.call is not None
    assert chain.failed == first.call.reservation.call_id
    called(guard, tree, "second", chain)
    tree.finish("second", lambda *_: Outcome(usage=Usage(input_tokens=1, output_tokens=1)))
    assert chain.failed is None
    called(guard, tree, "third", chain)
    tree.finish("third", lambda node, _: Outcome(result=node.nothing))  # type: ignore[attr-defined]
    assert (states(guard), tree.finish("third", lambda *_: Outcome())) == (["voided", "posted", "posted"], None)
