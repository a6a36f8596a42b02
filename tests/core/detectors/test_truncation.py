"""Messages dropped in silence, the system prompt first, and what only looks like it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runguard_core.calls import Outcome
from runguard_core.detectors import Severity, Truncation
from tests.core.detectors.turns import Play, Prompt, loop, refused

LOOP = loop(range(2000, 12_000, 1000))


def then(*more: Prompt) -> Play:
    """Ten rounds of a loop, and what follows."""
    return Play([Truncation()]).all([*LOOP, *more])


def after(parts: dict[str, int], messages: dict[str, int] | None = None, **more: object) -> Prompt:
    """The eleventh round: the tenth had 10,000 tokens in 1 + 1 + 9 + 9 messages."""
    return Prompt(parts, messages or {"assistant": 10, "tool:search": 10}, **more)  # type: ignore[arg-type]


def test_a_system_prompt_that_vanishes_stops_the_run() -> None:
    """The window is full, the oldest messages go, the first of them is the system prompt: once is said, twice is not sent."""
    play = then(WITHOUT, WITHOUT)
    assert play.sent == 11
    assert play.said[0].evidence == (
        "at least 4 messages were dropped from the prompt and nothing took their place while the tool loop went on: 20 messages "
        "before (44,000 characters), 18 now (39,800); the system prompt of 2,000 characters is gone"
    )
    assert play.stop is not None
    assert play.stop.evidence == (
        "the system prompt of 2,000 characters was dropped with at least 3 other messages and is missing from 2 prompts in a row"
    )


def test_a_window_that_slides_by_one_message_at_a_time_is_the_same_loss() -> None:
    """First the system prompt goes alone, then the question with the first answer: more messages each time, and some missing."""
    first = after({"user": 100, "assistant": 500, "tool:search": 9500})
    then_more = after({"assistant": 500, "tool:search": 10_000}, {"assistant": 10, "tool:search": 11})
    play = then(first, then_more)
    assert (play.sent, play.warned) == (11, ["truncation"])
    assert play.stop is not None


def test_a_change_of_roles_is_not_stopped() -> None:
    """An agent without a name or a system prompt takes the conversation over: only the system prompt is missing."""
    rounds = [
        after({"user": 100, "assistant": 50 * n, "tool:search": 950 * n}, {"assistant": n, "tool:search": n})
        for n in range(10, 20)
    ]
    assert then(*rounds).stop is None


def test_the_policy_may_stop_at_the_first_prompt_without_it() -> None:
    """For those who would rather not send it even once."""
    play = Play([Truncation(stop_after=1)]).all([*LOOP, WITHOUT])
    assert play.sent == 10
    assert play.stop is not None
    assert play.stop.figures["system_chars_before"] == 2000


def test_a_system_prompt_that_comes_back_ends_it() -> None:
    """One prompt without it is a warning."""
    play = then(WITHOUT, LOOP[-1], LOOP[-1])
    assert play.stop is None
    assert play.warned == ["truncation"]


WITHOUT = after({"assistant": 450, "tool:search": 9500}, {"assistant": 9, "tool:search": 9})


def test_messages_that_are_dropped_are_announced() -> None:
    """The system prompt is kept, the user's question and the first rounds are gone."""
    play = then(after({"system": 500, "assistant": 200, "tool:search": 4000}, {"assistant": 4, "tool:search": 4}))
    assert play.warned == ["truncation"]
    assert play.stop is None


def test_a_window_that_slides_by_as_much_as_comes_is_announced() -> None:
    """As many messages as before, although an answer and a result were added."""
    assert then(
        after({"system": 500, "user": 100, "assistant": 450, "tool:search": 9100}, {"assistant": 9, "tool:search": 9})
    ).warned


@pytest.mark.parametrize(
    "healthy",
    [
        after({"system": 500, "user": 900, "assistant": 100, "tool:search": 900}, {"user": 2, "assistant": 1, "tool:search": 1}),
        after({"system": 1300, "user": 100, "assistant": 100, "tool:search": 900}, {"assistant": 1, "tool:search": 1}),
        after({"user": 900, "assistant": 100, "tool:search": 900}, {"user": 2, "assistant": 1, "tool:search": 1}),
        after({"system": 500, "user": 90, "assistant": 100, "tool:search": 900}, {"assistant": 1, "tool:search": 1}),
        after({"system": 500, "user": 100, "assistant": 500, "tool:search": 1200}),
        Prompt({"system": 500, "user": 100}, after_tool=False),
        Prompt({"user": 100}, after_tool=False),
        Prompt({"user": 4000}, tools=False, after_tool=False),
    ],
    ids=[
        "a summary as the user's message", "a summary in the system prompt", "a summary in place of the system prompt",
        "a shorter summary in place of another",
        "results cleared in place", "a new conversation", "a question without a system prompt", "the call that summarises",
    ],
)  # fmt: skip
def test_compaction_stops_nothing(healthy: Prompt) -> None:
    """Something took the place of what was dropped, or the loop does not go on."""
    play = then(healthy)
    assert play.stop is None
    assert play.warned in ([], ["truncation"])
    assert play.warned == [] or not healthy.parts.get("system")


def test_a_repeated_call_is_no_shorter_prompt() -> None:
    """The same prompt again, by a client that does not say that it repeats, or after a failure."""
    assert then(LOOP[-1], LOOP[-1]).said == []
    assert then(replace(LOOP[-1], outcome=refused()), replace(LOOP[-2])).said == []


def test_a_provider_that_keeps_the_history_itself_is_sent_short_prompts() -> None:
    """With `previous_response_id` only what is new is sent: no prompt was ever longer than the one before."""
    first = Prompt({"system": 500, "user": 100}, after_tool=False)
    assert Play([Truncation()]).all([first, *[Prompt({"tool:search": 300 + i}) for i in range(9)]]).said == []


def test_conversations_by_turns_in_one_lane_are_not_stopped() -> None:
    """A program of threads without names: one conversation has a system prompt, the other has none."""
    other = [Prompt({"user": 100 + 500 * i}, {"user": 1 + 2 * i}, after_tool=i > 0) for i in range(10)]
    prompts = [prompt for pair in zip(LOOP, other, strict=True) for prompt in pair]
    assert Play([Truncation()]).all(prompts).stop is None


def test_a_provider_that_does_not_read_all_of_it_is_announced() -> None:
    """A local server reads 4,096 tokens, however long the prompt is; the second time it is said."""
    play = Play([Truncation()]).all(replace(prompt, counted=min(4096, 2000 + 1000 * i)) for i, prompt in enumerate(LOOP))
    assert play.warned == ["truncation:unread"]
    assert play.said[0].severity is Severity.WARN
    assert "grew from 24,000 to 28,000 characters and m counted 4,096 and 4,096 tokens, 2 times in a row" in play.said[0].evidence
    assert play.said[0].figures["tokens_before"] == 4096


def test_a_count_that_leaves_out_what_was_cached_is_no_proof() -> None:
    """Some servers count only what is new: small numbers, but not the same."""
    counts = [2000, 900, 950, 1010, 890, 1020, 1100, 1150, 990, 1004]
    assert Play([Truncation()]).all(replace(p, counted=n) for p, n in zip(LOOP, counts, strict=True)).said == []
    assert Play([Truncation()]).all(replace(p, counted=None) for p in LOOP).said == []


def test_a_round_that_failed_adds_nothing() -> None:
    """After a refusal the client goes on from the round before: no answer came, so nothing is missing."""
    longer = after({"system": 500, "user": 100, "assistant": 500, "tool:search": 10_000}, outcome=refused())
    assert then(longer, replace(LOOP[-1], parts={**LOOP[-1].parts, "assistant": 451})).said == []


FIVE = Outcome(tool_names=("search",) * 5)


def test_a_lost_system_prompt_shows_behind_the_results_of_many_tools() -> None:
    """Five results were asked for; system prompt and question are gone, and there still are four messages more than before."""
    first = after({"assistant": 500, "tool:search": 12_000}, {"assistant": 10, "tool:search": 14})
    second = after({"assistant": 550, "tool:search": 13_000}, {"assistant": 11, "tool:search": 19})
    play = Play([Truncation()]).all([*LOOP[:-1], replace(LOOP[-1], outcome=FIVE), first, second])
    assert play.stop is not None
    assert play.sent == 11


def test_results_in_one_message_are_not_missing() -> None:
    """Some clients put the five results of a round into one message."""
    merged = after({"system": 500, "user": 100, "assistant": 500, "tool:search": 12_000})
    assert Play([Truncation()]).all([*LOOP[:-1], replace(LOOP[-1], outcome=FIVE), merged]).said == []


def test_the_system_prompt_alone_is_not_enough_even_where_once_is() -> None:
    """With `stop_after = 1` too a change of roles is only said."""
    role = after({"user": 100, "assistant": 500, "tool:search": 9500})
    play = Play([Truncation(stop_after=1)]).all([*LOOP, role])
    assert (play.stop, play.warned) == (None, ["truncation"])


def test_a_plateau_of_pictures_is_none() -> None:
    """Their tokens are not in the characters."""
    play = Play([Truncation()]).all(replace(p, counted=min(4096, 2000 + 1000 * i), media=True) for i, p in enumerate(LOOP))
    assert play.said == []
