"""Context growth, overflow and the cascade of refusals by shape: what is stopped, at which call, what is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runguard_core.calls import Outcome, OutcomeKind
from runguard_core.detectors import ContextGrowth, Overflow, RateLimit, Severity
from tests.core.detectors.turns import Play, Prompt, loop, refused

# -- overflow ---------------------------------------------------------------------------------------------------------


def test_a_prompt_that_will_not_fit_is_not_sent() -> None:
    """Projected from what the provider counted: 29,000 tokens and the answer fit into 30,000, 31,000 do not."""
    play = Play([Overflow()], window=30_000).all(loop(range(1000, 60_000, 2000)))
    assert play.sent == 15
    assert play.stop is not None
    assert play.stop.evidence.startswith("the prompt of about 31,000 tokens")
    assert play.stop.figures == {"prompt_tokens": 31_000, "answer_tokens": 600, "window_tokens": 30_000}
    assert play.warned == ["overflow"]


def test_the_reserved_answer_counts() -> None:
    """600 are reserved: 29,900 is beyond, by more than a projection may be wrong, with 30,000 for both."""
    assert Play([Overflow()], window=30_000).all(loop([25_000, 30_100])).stop is not None
    assert Play([Overflow()], window=30_000).all(loop([25_000, 29_300])).stop is None


def test_an_unknown_window_says_nothing() -> None:
    """Ten million tokens may be too many, but nobody knows."""
    assert Play([Overflow()]).all(loop([10_000_000] * 3)).said == []


def test_a_window_that_contradicts_its_own_price_list_is_unknown() -> None:
    """A tier that begins where the window ends: the longer window is an option of the request."""
    assert Play([Overflow()], window=200_000, tier=200_000).all(loop([190_000, 250_000])).said == []


def test_a_window_told_by_the_policy_holds_before_the_list() -> None:
    """A local server reads 4,096 tokens, whatever the model could."""
    play = Play([Overflow(window_tokens={"m": 4096})], window=128_000).all(loop([1000, 3000, 5000]))
    assert play.sent == 2


def test_an_estimate_from_characters_alone_is_not_trusted_to_a_few_per_cent() -> None:
    """The first prompt of a run may hold fewer tokens than a quarter of its characters; the provider will say."""
    assert Play([Overflow()], window=30_000).all(loop([33_000])).stop is None
    assert Play([Overflow()], window=30_000).all(loop([45_000])).stop is not None


def test_embeddings_are_no_conversation() -> None:
    """A batch of many texts is not one prompt."""
    play = Play([Overflow(), ContextGrowth(stop_tokens=10)], window=1000)
    turn = play.turn(Prompt({"user": 50_000}))
    other = type(turn)(replace(turn.call, operation="embeddings"), "a", turn.at, 50_000, 0, turn.prices)
    for detector in play.by:
        assert detector.before(play.watches.setdefault("a", _watch(play)).history, other) is None


def _watch(play: Play):  # noqa: ANN202
    from runguard_core.detectors import TurnWatch

    return TurnWatch(play.by, play.run)


# -- context growth ---------------------------------------------------------------------------------------------------


def test_growth_is_announced_once_with_what_grows_and_what_it_will_cost() -> None:
    """4,000 tokens a turn from 2,000 on: at 50,000 the sentence can be recomputed by hand."""
    play = Play([ContextGrowth()], window=200_000).all(loop(range(2000, 90_000, 4000)))
    assert play.warned == ["context_growth"]
    said = play.said[0]
    assert "grew from 2,000 to about 50,000 tokens in 13 turns (25.0 times, lately 4,000 a turn)" in said.evidence
    assert "tool:search results are 98% of it" in said.evidence
    # 2,000 + 6,000 + ... + 46,000 were sent before the 13th prompt, all of them again but the newest 4,000 of each
    sent = sum(range(2000, 50_001, 4000))
    assert said.figures["sent_tokens"] == sent
    assert said.figures["resent_tokens"] == sum(range(2000, 46_001, 4000))
    # the window is full after 37 more turns: (200,000 - 50,600) // 4,000
    assert said.figures["ahead_turn_count"] == 38
    assert said.figures["ahead_nanos"] == sum(50_000 + 4000 * i for i in range(38)) * 1000


def test_a_price_cliff_is_announced_before_it_is_crossed() -> None:
    """198,000 with 4,000 more a turn: the next prompt would cross."""
    play = Play([ContextGrowth(warn_tokens=10**9)], tier=200_000).all(loop(range(150_000, 199_000, 4000)))
    assert play.warned == ["context_growth:cliff"]
    said = play.said[0]
    assert said.figures == {"prompt_tokens": 198_000, "next_tokens": 202_000, "cliff_tokens": 200_000}
    assert "$0.40 instead of $0.20" in said.evidence.replace("$0.400002", "$0.40").replace("$0.4000", "$0.40")
    assert play.sent == 13


def test_a_surge_is_stopped() -> None:
    """A state that is added to itself doubles: said from 64,000 on, and 128,000 is not sent."""
    play = Play([ContextGrowth()]).all(loop([2000 * 2**i for i in range(12)]))
    assert play.stop is not None
    assert play.sent == 6
    assert play.warned == ["context_growth"]
    assert play.stop.evidence == (
        "5 prompts in a row each grew at least 1.25 times as much as the one before, the last by 64,000 to about 128,000 tokens"
    )


def test_steady_and_falling_growth_is_no_surge() -> None:
    """Large results early on make large ratios; what counts is whether growth itself grows."""
    for sizes in (range(10_000, 200_000, 15_000), [10_000, 18_000, 30_000, 45_000, 60_000, 75_000, 90_000, 105_000]):
        assert Play([ContextGrowth()]).all(loop(sizes)).stop is None


def test_the_policy_may_set_a_limit() -> None:
    """No prompt of more than so many tokens, cliff or not."""
    play = Play([ContextGrowth(stop_tokens=20_000)]).all(loop([5000, 15_000, 25_000]))
    assert play.sent == 2
    assert play.stop is not None
    assert play.stop.evidence == "the prompt has about 25,000 tokens, the policy allows 20,000"


def test_a_compacted_prompt_starts_anew() -> None:
    """Growth is counted from the summary on."""
    sizes = [*range(2000, 46_000, 4000), 3000, *range(5000, 46_000, 4000)]
    assert Play([ContextGrowth()]).all(loop(sizes)).said == []


def test_questions_on_the_side_are_no_rounds_of_the_loop() -> None:
    """A small question without tools between two rounds hides no growth."""
    side = Prompt({"user": 300}, tools=False, after_tool=False)
    prompts = [one for prompt in loop(range(2000, 90_000, 4000)) for one in (prompt, side)]
    assert Play([ContextGrowth()]).all(prompts).warned == ["context_growth"]


def test_a_window_that_an_answer_has_disproved_is_unknown() -> None:
    """The name stands for another model than the list thinks: it has read 10,000 tokens where 8,192 are listed."""
    play = Play([Overflow()], window=8192).all(loop([10_000, 12_000, 20_000]))
    assert play.stop is None
    assert play.sent == 3


def test_a_prompt_just_beyond_the_window_is_sent_once_and_not_again() -> None:
    """One per cent too long is within what a projection may be wrong by; the provider's 400 decides."""
    bad = Outcome(kind=OutcomeKind.FAILED, error="BadRequestError: too long", error_status=400)
    first, last = loop([28_000, 29_700])
    play = Play([Overflow()], window=30_000).all([first, *[replace(last, outcome=bad, is_turn=n == 0) for n in range(9)]])
    assert play.sent == 2
    assert play.stop is not None


def test_pictures_are_not_projected() -> None:
    """Their tokens are not in the characters: neither a stop nor a plateau is read from them."""
    assert Play([Overflow()], window=10_000).all([replace(p, media=True) for p in loop([9000, 60_000])]).stop is None


def test_a_prompt_that_was_large_from_the_start_and_hardly_grows_is_no_news() -> None:
    """80,000 tokens in the second call, 500 more a turn: that is what the task is like."""
    assert Play([ContextGrowth()]).all(loop([1000, *range(80_000, 100_000, 500)])).said == []


def test_a_window_a_few_turns_ahead_is_announced() -> None:
    """From 20,000 by 9,000 a turn, of 100,000: at 56,000 four turns and a bit are left."""
    play = Play([ContextGrowth()], window=100_000).all(loop(range(20_000, 57_000, 9000)))
    assert play.warned == ["context_growth"]
    assert play.sent == 5


def test_a_small_surge_is_announced_and_not_stopped() -> None:
    """Five times in a row a quarter more, up to 17,000 tokens: it may yet come to rest."""
    sizes = [10_700, 11_200, 11_900, 12_800, 14_000, 15_500, 17_400]
    play = Play([ContextGrowth()]).all(loop(sizes))
    assert (play.stop, play.warned) == (None, ["context_growth"])


def test_small_prompts_may_grow_as_they_like() -> None:
    """Up to 16,000 tokens growth is not worth a word."""
    assert Play([ContextGrowth()]).all(loop([1000, 1500, 2200, 3200, 4600, 6600, 9400, 13_500])).said == []


# -- rate limit -------------------------------------------------------------------------------------------------------

NO = Prompt({"system": 100, "user": 100}, outcome=refused())
YES = Prompt({"system": 100, "user": 100})


def test_a_cascade_of_refusals_is_stopped_whatever_was_asked() -> None:
    """Ten in a row, with other prompts and other statuses; the eleventh is not sent."""
    prompts = [replace(NO, parts={"user": 100 + i}, outcome=refused(429 if i % 2 else 529)) for i in range(20)]
    play = Play([RateLimit()]).all(prompts)
    assert play.sent == 10
    assert play.warned == ["rate_limit"]
    assert play.stop is not None
    assert play.stop.evidence == "m refused 10 attempts in a row with 529 and 429 within 100 s and would be asked again"


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("ab", "a and b refused 10 attempts"),
        ("abc", "a, b and c refused"),
        ("abcd", "a, b and 2 others refused"),
        ("a", "a refused"),
    ],
)
def test_every_model_that_refused_is_counted_and_none_blamed_for_the_others(models: str, said: str) -> None:
    """Fallbacks share one count, and the sentence says whose refusals they were."""
    play = Play([RateLimit()]).all([replace(NO, model=models[place % len(models)]) for place in range(20)])
    assert play.stop is not None
    assert play.stop.evidence.startswith(said)


def test_back_off_windows_are_one_cascade() -> None:
    """Ten minutes between attempts do not start a new count; what is older than two hours does not count for a stop."""
    assert Play([RateLimit()]).all([replace(NO, seconds=600)] * 20).sent == 10
    hourly = Play([RateLimit()]).all([replace(NO, seconds=3000 if i % 5 == 0 else 5) for i in range(40)])
    assert hourly.stop is not None
    apart = Play([RateLimit()]).all([replace(NO, seconds=4000 if i % 5 == 0 else 5) for i in range(40)])
    assert (apart.stop, apart.warned) == (None, ["rate_limit"])


def test_requests_that_a_client_library_made_by_itself_count() -> None:
    """Three requests a call: the fourth call makes twelve."""
    assert Play([RateLimit()]).all([replace(NO, outcome=refused(attempt_count=3))] * 9).sent == 4


def test_an_answer_ends_the_count() -> None:
    """Nine refusals and an answer, again and again."""
    play = Play([RateLimit()]).all(([NO] * 9 + [YES]) * 5)
    assert play.stop is None
    assert play.warned == ["rate_limit"]


def test_other_failures_are_no_cascade() -> None:
    """A bad request is the program's own fault, and no provider's."""
    bad = Outcome(kind=OutcomeKind.FAILED, error="BadRequestError: no", error_status=400)
    assert Play([RateLimit()]).all([replace(NO, outcome=bad)] * 30).said == []


def test_an_error_without_a_status_is_known_by_its_name() -> None:
    """Google's and Amazon's clients name it differently."""
    for name in ("google.api_core.exceptions.ResourceExhausted", "ThrottlingException", "RateLimitError"):
        bad = Outcome(kind=OutcomeKind.FAILED, error=f"{name}: slow down")
        assert Play([RateLimit()]).all([replace(NO, outcome=bad)] * 30).sent == 10


def test_an_agent_made_anew_for_each_attempt_starts_no_new_count() -> None:
    """An orchestrator that starts its worker again and again; its own answers are not the worker's."""
    play = Play([RateLimit()])
    for attempt in range(20):
        play.send(replace(YES, agent="boss"))
        if play.send(replace(NO, agent="worker"), instance=f"worker-{attempt}") is None:
            break
    assert play.sent == 21


def test_a_crowd_that_is_refused_at_once_is_no_cascade() -> None:
    """Twenty calls under way at the same time, all refused: one round; each of them may try again."""
    play = Play([RateLimit()])
    watches = [_watch(play) for _ in range(20)]
    for _ in range(2):
        turns = [play.turn(NO) for _ in watches]
        for watch, turn in zip(watches, turns, strict=True):
            assert [v for v in watch.before(turn) if v.severity is Severity.STOP] == []
            watch.begin(turn)
        for watch, turn in zip(watches, turns, strict=True):
            watch.finish(turn, NO.outcome)
    assert play.run.refusals["a", "chat"].attempts.__len__() == 2


@pytest.mark.parametrize("window", [None, 128_000])
def test_a_healthy_run_is_left_alone(window: int | None) -> None:
    """Forty rounds of 500 tokens more each, as recorded agents have them."""
    assert Play(window=window).all(loop(range(5000, 27_000, 500))).said == []
