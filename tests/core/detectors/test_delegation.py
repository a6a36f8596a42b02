"""Agents that hand over to each other: what comes of it decides."""

from __future__ import annotations

from runguard_core.calls import Outcome, OutcomeKind, ToolUse
from runguard_core.detectors import Delegation, TurnWatch
from tests.core.detectors.turns import Play, Prompt


def visit(agent: str, *, to: str | None = None, found: str | None = None, says: str | None = None, user: int = 100) -> Prompt:
    """One turn of an agent: it hands over, it looks something up, or it says something (by its digest)."""
    uses = []
    if found is not None:
        uses.append(ToolUse(name="search", signature="s", result_hash=found))
    if to is not None:
        uses.append(ToolUse(name=f"transfer_to_{to}", signature=f"t-{to}", result_hash=f"new every time {len(agent)}"))
    names = tuple(use.name for use in uses)
    return Prompt(
        {"system": 100, "user": user}, agent=agent, outcome=Outcome(tool_names=names, output_text_hash=says), uses=tuple(uses)
    )


def play(visits: list[Prompt]) -> Play:
    """Delegation alone."""
    return Play([Delegation()]).all(visits)


PAIR = [visit("triage", to="billing"), visit("billing", to="triage")]


def test_two_agents_that_only_hand_over_are_stopped() -> None:
    """The first visit is not known to be empty; one round of bare ones makes a warning, two a stop before the next visit."""
    found = play(PAIR * 9)
    assert found.warned == ["delegation"]
    assert found.sent == 5
    assert found.stop is not None
    assert found.stop.evidence == (
        "control went billing -> triage -> billing -> triage -> billing, and 4 visits in a row brought nothing new: they only handed over"
    )


def test_three_in_a_round_are_stopped_too() -> None:
    """However long the round is: two times three bare visits after the first."""
    found = play([visit("a", to="b"), visit("b", to="c"), visit("c", to="a")] * 5)
    assert (found.sent, found.warned) == (7, ["delegation"])


def test_the_same_result_again_is_nothing_new() -> None:
    """Each of them looks up what the run has seen before it hands over."""
    assert play([visit("a", found="same", to="b"), visit("b", found="same", to="a")] * 9).stop is not None


def test_agents_that_take_turns_without_handing_over_pass() -> None:
    """Ten agents side by side, one call each in turn: no result is new, and nobody hands over to anybody."""
    assert play([visit(f"checker-{i % 10}", found="Service Unavailable") for i in range(100)]).said == []


def test_the_same_words_again_are_nothing_new() -> None:
    """A critic that says "revise" for ever, and a writer that sends the same draft."""
    assert play([visit("writer", says="draft"), visit("critic", says="revise")] * 9).stop is not None


def test_two_agents_reviewing_in_turns_pass() -> None:
    """The draft changes, the verdict does not; the draft decides."""
    assert (
        play([one for i in range(20) for one in (visit("writer", says=f"draft {i}"), visit("critic", says="revise"))]).said == []
    )


def test_an_orchestrator_and_its_workers_pass() -> None:
    """It only delegates, they come back with something new."""
    assert play([one for i in range(20) for one in (visit("boss", to="worker"), visit("worker", found=f"page {i}"))]).said == []


def test_answers_without_a_digest_count_as_new() -> None:
    """Nobody can tell, so nothing is said."""
    assert play([visit("a"), visit("b")] * 20).said == []


def test_a_new_message_of_the_user_is_something_new() -> None:
    """A session of many questions, each handed to and fro once."""
    assert (
        play([one for i in range(20) for one in (visit("a", to="b", user=100 + i), visit("b", to="a", user=100 + i))]).said == []
    )


def test_agents_without_a_name_and_alone_are_not_judged() -> None:
    """Nobody hands over to anybody."""
    assert play([visit("a", to="b")] * 30).said == []
    assert play([Prompt({"user": 1}, agent=None)] * 30).said == []


def test_agents_at_work_at_the_same_time_hand_nothing_over() -> None:
    """Their calls come by turns because they are parallel."""
    found = Play([Delegation()])
    watches = {name: TurnWatch(found.by, found.run) for name in "ab"}
    under_way = []
    for index in range(40):
        agent = "ab"[index % 2]
        turn = found.turn(visit(agent, to="b"))
        assert watches[agent].before(turn) == []
        watches[agent].begin(turn)
        under_way.append((watches[agent], turn))
        if len(under_way) > 1:
            watch, oldest = under_way.pop(0)
            watch.finish(oldest, Outcome(tool_names=("transfer_to_b",)))


def test_a_failure_is_no_handing_over() -> None:
    """One agent steps in for another that gets no answer."""
    failed = Outcome(kind=OutcomeKind.FAILED, error="x", error_status=500)
    silent = [Prompt({"user": 1}, agent=name, outcome=failed) for name in "ab"]
    assert play(silent * 20).said == []


def test_memory_is_bounded() -> None:
    """A hundred thousand visits with as many results keep a few thousand marks."""
    found = play([one for i in range(3000) for one in (visit("a", found=f"{i}"), visit(f"b{i}", says=f"{i}"))])
    handoffs = found.run.handoffs
    assert handoffs is not None
    assert len(handoffs._results) <= 2048
    assert len(handoffs._answers) <= 2048
    assert len(handoffs._users) <= 256


def test_a_call_of_somebody_without_a_name_makes_them_parallel_too() -> None:
    """While it is under way nobody can tell who hands over to whom."""
    found = Play([Delegation()])
    watch, turn = TurnWatch(found.by, found.run), found.turn(Prompt({"user": 1}, agent=None))
    watch.before(turn)
    watch.begin(turn)
    assert found.all(PAIR * 9).said == []


def test_many_agents_that_all_find_nothing_and_never_come_back_are_left_alone() -> None:
    """A map over chunks by agents of their own names: equal answers, and control comes back to none of them."""
    assert play([visit(f"reader {n}", says="nothing found") for n in range(12)]).said == []
