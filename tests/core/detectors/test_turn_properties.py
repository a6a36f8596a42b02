"""What must hold for any sequence of model calls: verdicts do not depend on how calls are batched or named, and their
sentences can be computed again from the calls alone."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from runguard_core.detectors import (
    ContextGrowth,
    Overflow,
    RateLimit,
    Severity,
    Truncation,
    Turn,
    TurnDetector,
    TurnHistory,
    Verdict,
    default_turn_detectors,
)
from runguard_core.detectors._turn_strand import Strand
from tests.core.detectors.turns import Play, Prompt, loop, refused

WINDOW, TIER = 60_000, 40_000
GROWTH = st.lists(st.integers(-3000, 9000), min_size=1, max_size=40)


@st.composite
def prompts(draw: st.DrawFn) -> list[Prompt]:
    """Loops that grow and shrink, lose messages, are refused, by two agents of which one may have no system prompt."""
    made, sizes = [], {"a": 1000, "b": 2000}
    counts = {"a": 0, "b": 0}
    for grown in draw(GROWTH):
        agent = draw(st.sampled_from("aaab"))
        size = sizes[agent] = max(700, sizes[agent] + grown)
        counts[agent] = max(0, counts[agent] + draw(st.sampled_from([1, 1, 1, 0, -3])))
        parts = {"user": 100, "tool:x": size}
        if draw(st.integers(0, 9)):
            parts["system"] = 500
        outcome = draw(st.sampled_from([None, None, None, refused(), refused(503)]))
        prompt = Prompt(
            parts, {"tool:x": counts[agent]}, agent=agent, after_tool=draw(st.booleans()), seconds=draw(st.integers(0, 3000))
        )
        made.append(prompt if outcome is None else replace(prompt, outcome=outcome))
    return made


def said(play: Play) -> list[tuple[str, Severity, str]]:
    """Everything that was said, in order."""
    return [(verdict.rule, verdict.severity, verdict.evidence) for verdict in play.said]


def all_of(made: list[Prompt]) -> Play:
    """Every prompt is sent, whatever is said of it: what was said later must be right too."""
    play = Play(window=WINDOW, tier=TIER)
    for prompt in made:
        play.send(prompt)
    return play


@given(prompts(), st.data())
def test_verdicts_do_not_depend_on_how_calls_are_batched(made: list[Prompt], data: st.DataObject) -> None:
    """One play in one go, one that is put down and taken up again anywhere, and one call more changes nothing said before."""
    whole = all_of(made)
    parts, at = Play(window=WINDOW, tier=TIER), 0
    while at < len(made):
        end = data.draw(st.integers(at + 1, len(made)))
        for prompt in made[at:end]:
            parts.send(prompt)
        assert said(parts) == said(whole)[: len(parts.said)]
        at = end
    assert said(parts) == said(whole)


class Careful(TurnDetector):
    """A detector that never says when it has nothing to say: it is asked at every call."""

    rule = ""

    def __init__(self, asked: TurnDetector) -> None:
        self.asked, self.rule = asked, asked.rule

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        return self.asked.before(turns, turn)

    def after(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        return self.asked.after(turns, turn)


@given(prompts(), st.sampled_from([4000, 20_000, WINDOW]), st.sampled_from([None, 3000, 50_000]))
def test_whom_a_quiet_call_is_kept_from_would_have_said_nothing(made: list[Prompt], window: int, stop_tokens: int | None) -> None:
    """Judges that are asked at every call say what those say that are asked when there is something to see."""
    by = [
        *default_turn_detectors(),
        ContextGrowth(stop_tokens=stop_tokens, rule="other growth"),
        Truncation(flat_after=1, rule="flat"),
    ]
    plays = [Play(by, window=window, tier=TIER), Play([Careful(one) for one in by], window=window, tier=TIER)]
    for index, prompt in enumerate(made):
        for play in plays:
            play.send(replace(prompt, counted=5000) if index % 5 == 1 else prompt)
    assert said(plays[0]) == said(plays[1])


@given(prompts())
def test_verdicts_do_not_depend_on_names(made: list[Prompt]) -> None:
    """Agents, tools and models called something else, consistently; the sentences differ by the names only."""

    def renamed(prompt: Prompt) -> Prompt:
        parts = {origin.replace("tool:x", "tool:other"): size for origin, size in prompt.parts.items()}
        messages = {origin.replace("tool:x", "tool:other"): count for origin, count in prompt.messages.items()}
        return replace(prompt, parts=parts, messages=messages, agent=f"agent-{prompt.agent}", model="n")

    before = [(v.rule, v.severity, v.repeat_count, dict(v.figures)) for v in all_of(made).said]
    assert [(v.rule, v.severity, v.repeat_count, dict(v.figures)) for v in all_of([renamed(p) for p in made]).said] == before


@given(GROWTH)
def test_what_growth_says_can_be_counted_again(steps: list[int]) -> None:
    """First and present size, turns, what was sent and sent again: from the list of sizes alone."""
    sizes, size = [], 1000
    for step in steps:
        size = max(700, size + 3 * abs(step))
        sizes.append(size)
    play = Play([ContextGrowth(warn_tokens=20_000, warn_ratio=1.5)])
    for prompt in loop(sizes):
        count = len(play.said)
        turn = play.send(prompt)
        for verdict in play.said[count:]:
            if "sent_tokens" in verdict.figures:
                check_growth(verdict, sizes, turn)


def check_growth(verdict: Verdict, sizes: list[int], turn: Turn | None) -> None:
    """Sizes only grow here, so everything since the first call counts."""
    figures = verdict.figures
    seen = sizes[: figures["turn_count"]]
    assert figures["first_tokens"] == seen[0]
    assert abs(figures["prompt_tokens"] - seen[-1]) <= 1
    assert abs(figures["sent_tokens"] - sum(seen)) <= 1
    assert figures["resent_tokens"] == sum(seen[:-1])
    share = round(100 * figures["resent_tokens"] / figures["sent_tokens"])
    assert re.search(rf"{share}% of the {figures['sent_tokens']:,} tokens", verdict.evidence)
    ahead = sum(figures["prompt_tokens"] + i * figures["growth_tokens"] for i in range(figures["ahead_turn_count"])) * 1000
    assert figures["ahead_nanos"] == ahead


@given(st.lists(st.integers(500, 12_000), min_size=2, max_size=30))
def test_what_overflow_says_can_be_counted_again(steps: list[int]) -> None:
    """Stopped exactly where prompt and answer pass the window by more than a projection may be wrong; warned from nine tenths on."""
    sizes = [3000 + sum(steps[: i + 1]) for i in range(len(steps))]
    play = Play([Overflow()], window=WINDOW).all(loop(sizes))
    over = [size + 600 > (1.5 if i == 0 else 1.02) * WINDOW for i, size in enumerate(sizes)]
    disproved = [i > 0 and sizes[i - 1] > WINDOW for i in range(len(sizes))]  # the prompt before was answered, beyond the window
    stops = [i for i in range(len(sizes)) if over[i] and not disproved[i]]
    assert play.sent == (stops[0] if stops else len(sizes))
    for verdict in play.said:
        needed = verdict.figures["prompt_tokens"] + verdict.figures["answer_tokens"]
        assert needed >= 0.9 * verdict.figures["window_tokens"]


@given(st.lists(st.sampled_from(["no", "no", "no", "yes"]), max_size=60), st.integers(0, 2000))
def test_refusals_are_those_since_the_last_answer(steps: list[str], seconds: int) -> None:
    """Counted again from the outcomes and their times."""
    play = Play([RateLimit()])
    ended: list[bool] = []
    for step in steps:
        outcome = refused() if step == "no" else Prompt({"user": 1}).outcome
        count = len(play.said)
        sent = play.send(Prompt({"user": 1}, outcome=outcome, seconds=seconds))
        in_a_row = next((i for i, answered in enumerate(reversed(ended)) if answered), len(ended))
        recent = min(in_a_row, 7200 // seconds if seconds else in_a_row)
        assert (sent is None) == (recent >= 10)
        for verdict in play.said[count:]:
            assert verdict.repeat_count == (
                recent if verdict.severity is Severity.STOP else min(in_a_row + 1, 7200 // max(1, seconds) + 1)
            )
        if sent is None:
            return
        ended.append(step == "yes")


@given(st.lists(st.integers(-9, 3), min_size=1, max_size=30))
def test_messages_said_to_be_missing_are_missing(steps: list[int]) -> None:
    """Of a loop of one tool: what was there, and two more, and what is there now."""
    counts, count = [], 1
    for step in steps:
        count = max(1, count + step)
        counts.append(count)
    made = [
        Prompt({"system": 100, "user": 50, "tool:x": 1000 * n + i}, {"tool:x": n}, after_tool=i > 0) for i, n in enumerate(counts)
    ]
    play = Play([Truncation()])
    for index, prompt in enumerate(made):
        before = len(play.said)
        play.send(prompt)
        for verdict in play.said[before:]:
            assert verdict.figures["messages_before"] == counts[index - 1] + 2
            assert verdict.figures["messages_now"] == counts[index] + 2
            assert verdict.figures["missing_count"] == counts[index - 1] + 2 - counts[index] > 0


def test_a_run_of_fifty_thousand_turns_keeps_as_much_as_one_of_fifty() -> None:
    """The latest turn, eight sizes, some counts: no chain of turns hangs behind."""
    sizes = []
    for count in (50, 50_000):
        play = Play(window=10**9)
        prompt = Prompt({"system": 500, "user": 100, "tool:x": 5000})
        for _ in range(count):
            play.said.clear()
            play.send(prompt)
        strand = play.watches["a"].history._rounds
        assert isinstance(strand, Strand)
        assert strand.last is not None
        assert strand.last.previous is not None
        assert strand.last.previous.previous is None
        sizes.append(sum(sys.getsizeof(getattr(strand, name)) for name in Strand.__slots__))
    assert sizes[1] <= sizes[0] + 64  # the counts are larger numbers
