"""A model that says the same again: what is said of it, when, and what is left alone."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.calls import ModelCall, Outcome, OutcomeKind, PromptPart
from runguard_core.detectors import SameAnswer, Severity, Turn, TurnWatch
from tests.core.detectors.turns import START, Play, prices

SYSTEM = 400
JSON = '{"action": "Final Answer", "action_input": "Graz"'


class Talk:
    """One agent instance's conversation, message by message, in characters as an adapter measures them."""

    def __init__(self, *by: SameAnswer, tools: bool = True) -> None:
        self.play, self.tools = Play(by or (SameAnswer(),)), tools
        self.sizes: dict[str, list[int]] = {"system": [SYSTEM]}
        self.after_tool = False

    def user(self, text: str) -> None:
        """A message of the user's, or of the program that drives the agent."""
        self.add("user", len(text))

    def add(self, origin: str, chars: int) -> None:
        """A message more."""
        self.sizes.setdefault(origin, []).append(chars)
        self.after_tool = origin.startswith("tool:")

    def ask(self, text: str, *, keeps: bool = True, calls: tuple[str, ...] = (), **facts: Any) -> bool:
        """The model is asked and answers; the next prompt holds the answer if the program `keeps` it. False: it was stopped."""
        watch = self.play.watches.setdefault("a", TurnWatch(self.play.by, self.play.run))
        parts = tuple(PromptPart(origin, sum(sizes), len(sizes)) for origin, sizes in self.sizes.items())
        call = ModelCall(model="m", parts=parts, tool_count=int(self.tools), after_tool=self.after_tool)
        turn = Turn(call, "a", START, sum(p.chars for p in parts) // 4, 600, prices(None, None))
        found = watch.before(turn)
        self.play.said += found
        if any(verdict.severity is Severity.STOP for verdict in found):
            return False
        watch.begin(turn)
        self.play.sent += 1
        facts = {"output_chars": len(text), "output_text_hash": f"digest of {text}", "tool_names": calls, **facts}
        self.play.said += watch.finish(turn, Outcome(**facts))
        if keeps:
            self.add("assistant", len(text))
        return True

    def tool(self, chars: int = 50) -> None:
        """A tool that the model asked for has ended."""
        self.ask("", calls=("search",))
        self.add("tool:search", chars)

    @property
    def said(self) -> list[tuple[str, str]]:
        """Severity and topic of everything that was said."""
        return [(str(verdict.severity), verdict.topic) for verdict in self.play.said]


def test_the_sixth_prompt_is_not_sent_when_five_answers_were_the_same() -> None:
    """A parser that says no in the same words each time; the sentence can be checked against the transcript."""
    talk = Talk()
    talk.user("Which city is larger, Graz or Linz?")
    for _ in range(50):
        if not talk.ask(JSON):
            break
        talk.user("Could not parse.")
    assert talk.play.sent == 5
    assert talk.said == [("warn", ""), ("stop", "")]
    assert talk.play.stop is not None
    assert talk.play.stop.evidence == (
        "the same answer of 49 characters came 5 times in a row: no tool ran in between and each prompt brought nothing but the answer "
        "before and the same 16 characters of a user's message"
    )
    assert talk.play.stop.marks == (f"digest of {JSON}",)


def test_answers_that_alternate_are_announced_and_not_stopped() -> None:
    """Two thoughts by turns, with nobody in between: once."""
    talk = Talk()
    talk.user("Who wrote 'The Magic Mountain'?")
    talk.tool()
    assert all(talk.ask(("I know that Thomas Mann wrote it.", "The answer is Thomas Mann.")[n % 2]) for n in range(11))
    assert talk.said == [("warn", "")]
    assert "the latest 3 answers had all been given word for word before" in talk.play.said[0].evidence


def test_answers_that_never_use_a_tool_are_announced() -> None:
    """Announcements in ever new words, which nobody asked for; without tools on offer there is nothing that it should do."""
    for tools, wanted in ((True, [("warn", "idle")]), (False, [])):
        talk = Talk(tools=tools)
        talk.user("Clean up the list.")
        assert all(talk.ask(f"Now I will really begin with the clean-up, take {n}.") for n in range(20))
        assert talk.said == wanted
    talk = Talk(SameAnswer(idle_after=4))
    assert all(talk.ask(f"take {n}, and it starts now") for n in range(9))
    assert talk.play.said[0].repeat_count == 4


def test_labels_that_nobody_asks_for_are_a_loop_too() -> None:
    """A short answer counts where no question lies between."""
    talk = Talk()
    talk.user("Is it done?")
    assert not all(talk.ask("yes") for _ in range(50))
    assert talk.play.sent == 5


def drafts(talk: Talk) -> None:
    """Twelve drafts of one prompt."""
    talk.user("Write a line about autumn.")
    for _ in range(12):
        talk.ask("Leaves fall, and nobody counts them.", keeps=False)


def batch(talk: Talk) -> None:
    """Equal questions about twenty items, each a prompt of its own."""
    for n in range(20):
        talk.sizes = {"system": [SYSTEM], "user": [300 + 7 * n % 5]}
        talk.ask("There is nothing wrong with this item.", keeps=False)


def growing_batch(talk: Talk) -> None:
    """Chunks of a document, each prompt longer than the one before by as much as an answer has."""
    for n in range(20):
        talk.sizes = {"system": [SYSTEM], "user": [300 + 38 * n]}
        talk.ask("There is nothing wrong with this item.", keeps=False)


def classified(talk: Talk) -> None:
    """Twenty items in one conversation, all of one size, all a "yes"."""
    for n in range(20):
        talk.user(f"Item {100 + n}: is it in stock?")
        talk.ask("yes")


def chat(talk: Talk) -> None:
    """A person thanks twice, and asks again later; a canned answer each time."""
    for words in ("Hello", "thanks", "thanks", "and the other order?", "thanks a lot", "thanks", "thanks", "bye then"):
        talk.user(words)
        talk.ask("You are welcome! Is there anything else?")


def refusing(talk: Talk) -> None:
    """A person asks for what the agent may not tell, in other words each time."""
    for n in range(12):
        talk.user("Tell me the code" + "!" * n)
        talk.ask("I am not allowed to tell you that.")


def working(talk: Talk) -> None:
    """The same words beside every tool call, and after every result."""
    talk.user("Read thirty pages.")
    for _ in range(10):
        talk.ask("Reading the next page of the book.", calls=("search",))
        talk.add("tool:search", 50)
        talk.ask("I have read it and will go on now.")


def guarding(talk: Talk) -> None:
    """A question on the side after each turn of a conversation that it is shown: the model's share grows by other answers."""
    for n in range(12):
        talk.add("assistant", 90 + n)
        talk.ask("Nothing in it is against the rules.", keeps=False)


def silent(talk: Talk) -> None:
    """Answers of which no text is known."""
    talk.user("Go on.")
    for _ in range(11):
        talk.ask("x" * 40, output_text_hash=None)


def failing(talk: Talk) -> None:
    """The provider refuses, and nothing is said at all."""
    talk.user("Hello?")
    for _ in range(8):
        talk.ask("", keeps=False, kind=OutcomeKind.FAILED, error="RateLimitError", error_status=429)


@pytest.mark.parametrize("shape", [drafts, batch, growing_batch, classified, chat, refusing, working, guarding, silent, failing])
@pytest.mark.parametrize("tools", [True, False])
def test_healthy_repetition_is_left_alone(shape: Any, tools: bool) -> None:
    """What looks like it and is not."""
    talk = Talk(tools=tools)
    shape(talk)
    assert talk.said == []


@pytest.mark.parametrize("news", ["tool", "person", "forgotten"])
def test_anything_new_begins_another_count(news: str) -> None:
    """A tool's result, a person's words, a history that was cut: four equal answers before and four after are no five."""
    talk = Talk()
    talk.user("Which city is larger?")
    for part in range(2):
        for _ in range(4):
            assert talk.ask(JSON)
            talk.user("Could not parse.")
        if part == 0 and news == "tool":
            talk.tool()
        elif part == 0 and news == "person":
            talk.user("I meant the city, not the province.")
        elif part == 0:
            talk.sizes["assistant"] = [10]
    assert talk.play.stop is None


def test_a_prompt_that_holds_something_new_is_sent() -> None:
    """Five equal answers, and then a person says something else: the sixth prompt is no repetition."""
    talk = Talk()
    talk.user("Which city is larger?")
    for n in range(5):
        talk.ask(JSON)
        talk.user("Could not parse." if n < 4 else "Never mind, tell me a joke instead.")
    assert talk.ask(JSON)
    talk = Talk()
    for _ in range(5):
        talk.ask(JSON)
    talk.add("tool:search", 50)  # which nobody had announced
    assert talk.ask(JSON)


def test_the_hidden_thoughts_of_an_answer_do_not_count_as_something_new() -> None:
    """The prompt may hold them or not: between the text alone and the whole answer everything is the answer."""
    for kept in (len(JSON), len(JSON) + 500):
        talk = Talk()
        talk.user("Which city is larger?")
        for _ in range(5):
            assert talk.ask(JSON, keeps=False, output_chars=len(JSON) + 500)
            talk.add("assistant", kept)
        assert not talk.ask(JSON)


def test_memory_stays_bounded() -> None:
    """Ten thousand answers, all different."""
    talk = Talk(tools=False)
    for n in range(10_000):
        talk.ask(f"an answer like no other, {n:08}")
    strand = talk.play.watches["a"].history._sides
    assert strand is not None
    assert strand.stretch is not None
    assert len(strand.stretch._marks) == 16


STEPS = st.lists(st.sampled_from(["same", "same", "same", "other", "third", "tool", "person", "driver"]), max_size=40)


def played(talk: Talk, steps: list[str]) -> None:
    """Answers, tools and words, whatever is said of them."""
    for step in steps:
        if step == "tool":
            talk.tool()
        elif step in {"person", "driver"}:
            talk.user("Continue." if step == "driver" else "Something else, please, " + "x" * len(talk.sizes.get("user", ())))
        elif not talk.ask({"same": JSON, "other": "another answer of its own", "third": "and yet a third one of all"}[step]):
            talk.add("assistant", len(JSON))


@given(STEPS, st.data())
def test_verdicts_do_not_depend_on_how_calls_are_batched(steps: list[str], data: st.DataObject) -> None:
    """One play in one go, and one that is put down and taken up again anywhere."""
    whole, parts = Talk(), Talk()
    played(whole, steps)
    at = 0
    while at < len(steps):
        end = data.draw(st.integers(at + 1, len(steps)))
        played(parts, steps[at:end])
        assert parts.play.said == whole.play.said[: len(parts.play.said)]
        at = end
    assert parts.play.said == whole.play.said


@given(STEPS)
def test_a_stop_can_be_counted_again_in_the_steps(steps: list[str]) -> None:
    """Never before five answers of that digest in a row, with neither tool nor person among them."""
    talk, seen = Talk(), list[str]()
    for step in steps:
        count = len(talk.play.said)
        played(talk, [step])
        for verdict in talk.play.said[count:]:
            row = re.search(r"((same )+|(other )+|(third )+)$", "".join(f"{one} " for one in seen if one != "driver"))
            if verdict.severity is Severity.STOP:
                assert row is not None
                assert len(row[0].split()) >= verdict.repeat_count >= 5
        seen.append(step)


def test_two_of_a_kind_do_not_count_twice() -> None:
    """A second detector of other knobs sees the same history."""
    talk = Talk(SameAnswer(), dataclasses.replace(SameAnswer(), stop_after=9))
    talk.user("Which city is larger?")
    assert not all(talk.ask(JSON) for _ in range(50))
    assert talk.play.sent == 5
