"""Opportunities: each is found where it was planted, for the dollars that it cost, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runguard_core.calls import OutcomeKind, PromptPart
from runguard_core.finops.reviews import Opportunity, OpportunityKind, Sample, opportunities
from runguard_core.finops.reviews._opportunity import Listed, repriced, shortened
from runguard_core.ledger import CallRecord, Total, total_of
from runguard_core.prices import PriceBook
from runguard_core.usage import Usage
from tests.finops.reviews.ledgers import model_call

AT = datetime(2026, 9, 7, 9, tzinfo=UTC)
PRICES = Listed(PriceBook(), AT)


def priced(call: CallRecord) -> CallRecord:
    """The call at its list price."""
    assert call.settlement is not None
    assert call.settlement.usage is not None
    nanos = PRICES.book.rates(call.name, call.provider, AT).charge(call.settlement.usage)
    return replace(call, settlement=replace(call.settlement, cost_nanos=nanos))


def sample(*sessions: Sequence[CallRecord], usual: str = "gpt-4.1", offered: Sequence[tuple[str, str]] = ()) -> Sample:
    calls = [call for session in sessions for call in session]
    models: dict[tuple[str, str], Total] = {}
    for call in calls:
        key = (call.provider or "", call.name)
        models[key] = models.get(key, Total()) + total_of(call)
    whole = Total()
    for total in models.values():
        whole += total
    return Sample(
        feature="search", sessions=[tuple(session) for session in sessions], total=whole, models=models,
        usual_models={("openai", usual): Total(call_count=9)}, offered=offered or sorted(models), prices=PRICES,
    )  # fmt: skip


def found(it: Sample) -> dict[OpportunityKind, Opportunity]:
    return {one.kind: one for one in opportunities(it)}


def test_failed_attempts_that_were_billed() -> None:
    """Their cost, to the nano-dollar."""
    good = [priced(model_call(AT + timedelta(hours=n), usage=Usage(input_tokens=900, output_tokens=300))) for n in range(3)]
    bad = [
        replace(one, settlement=replace(one.settlement, outcome=OutcomeKind.FAILED, error="APITimeoutError: no answer"))
        for one in good[:2]
        if one.settlement is not None
    ]
    it = found(sample([*good, *bad]))[OpportunityKind.FAILED_ATTEMPTS]
    assert it.nanos == sum(call.cost_nanos for call in bad)
    assert "mostly APITimeoutError" in it.sentence
    assert "runguard explain s-1" in it.check


def test_a_dearer_model_than_usual() -> None:
    """What the calls would have cost on the model that the feature used before."""
    calls = [priced(model_call(AT, model="gpt-4-turbo", usage=Usage(input_tokens=5000, output_tokens=500))) for _ in range(4)]
    it = found(sample(calls))[OpportunityKind.UNUSUAL_MODEL]
    cheap = PRICES.book.rates("gpt-4.1", "openai", AT).charge(Usage(input_tokens=5000, output_tokens=500))
    assert it.nanos == pytest.approx(sum(call.cost_nanos - cheap for call in calls), abs=8)
    assert OpportunityKind.UNUSUAL_MODEL not in found(sample(calls, usual="gpt-4-turbo"))


def test_prompts_that_repeat_and_were_not_read_from_the_cache() -> None:
    """A conversation that grows within minutes; the writing of the cache is paid for, so one call alone saves nothing."""

    def talk(minutes: int, cached: int = 0) -> list[CallRecord]:
        return [
            priced(model_call(
                AT + timedelta(minutes=minutes * n), provider="anthropic", model="claude-sonnet-4-5",
                usage=Usage(
                    input_tokens=10_000 + 500 * n, output_tokens=200, cache_read_input_tokens=cached if n else 0,
                    cache_creation_input_tokens=500 if cached and n else 10_000 if cached else 0,
                ),
            ))
            for n in range(6)
        ]  # fmt: skip

    it = found(sample(talk(1)))[OpportunityKind.CACHE_MISSES]
    rates = PRICES.book.rates("claude-sonnet-4-5", "anthropic", AT)
    best = [
        Usage(input_tokens=10_000 + 500 * n, output_tokens=200, cache_read_input_tokens=9_500 + 500 * n if n else 0,
              cache_creation_input_tokens=500 if n else 10_000)
        for n in range(6)
    ]  # fmt: skip
    assert it.nanos == pytest.approx(sum(c.cost_nanos for c in talk(1)) - sum(map(rates.charge, best)), abs=12)
    assert OpportunityKind.CACHE_MISSES not in found(sample(talk(6)))  # the cache has forgotten by then
    assert OpportunityKind.CACHE_MISSES not in found(sample(talk(1)[:1]))
    cached = found(sample(talk(1, cached=10_000))).get(OpportunityKind.CACHE_MISSES)
    assert cached is None or cached.nanos < it.nanos / 4


def test_a_prompt_that_became_shorter_repeats_nothing() -> None:
    """Histories that are cut are new to the cache."""
    sizes = (20_000, 9_000, 8_000)
    calls = [
        priced(model_call(AT + timedelta(minutes=n), usage=Usage(input_tokens=size, output_tokens=400)))
        for n, size in enumerate(sizes)
    ]
    assert OpportunityKind.CACHE_MISSES not in found(sample(calls))


def test_results_of_tools_that_are_sent_again() -> None:
    """By the sizes of the prompts' parts; where the adapter cannot tell what is new, nothing is claimed."""
    first = PromptPart("tool:read_file", 40_000, 1, 40_000)
    again = PromptPart("tool:read_file", 40_000, 1, 0)
    user = PromptPart("user", 10_000, 1, 10_000)
    usage = Usage(input_tokens=12_500, output_tokens=400)
    calls = [priced(model_call(AT + timedelta(hours=n), parts=(user, first if not n else again), usage=usage)) for n in range(3)]
    it = found(sample(calls))[OpportunityKind.RESENT_RESULTS]
    less = sum(call.cost_nanos - (repriced(call, PRICES, shortened(usage, 10_000)) or 0) for call in calls[1:])
    assert it.nanos == less > 0
    assert "read_file" in it.sentence
    unknown = [replace(call, parts=tuple(replace(part, new_chars=0) for part in call.parts)) for call in calls]
    assert OpportunityKind.RESENT_RESULTS not in found(sample(unknown))


def test_histories_far_above_the_mean() -> None:
    """What lies above twice the mean prompt."""
    short = [priced(model_call(AT + timedelta(hours=n), usage=Usage(input_tokens=2000, output_tokens=300))) for n in range(19)]
    long = priced(model_call(AT + timedelta(days=1), usage=Usage(input_tokens=82_000, output_tokens=300)))
    it = found(sample([*short, long]))[OpportunityKind.LONG_HISTORIES]
    assert "above 12,000 tokens" in it.sentence
    assert it.nanos == long.cost_nanos - (repriced(long, PRICES, Usage(input_tokens=12_000, output_tokens=300)) or 0)
    assert OpportunityKind.LONG_HISTORIES not in found(sample(short))


def test_short_answers_of_a_dear_model_come_last() -> None:
    """A cheaper model that the ledger knows; what needs a judgement of quality is shown after what does not."""
    calls = [priced(model_call(AT + timedelta(hours=n), usage=Usage(input_tokens=4000, output_tokens=20))) for n in range(5)]
    both = [("openai", "gpt-4.1"), ("openai", "gpt-4.1-mini")]
    it = found(sample(calls, offered=both))[OpportunityKind.SHORT_ANSWERS]
    assert "gpt-4.1-mini" in it.sentence
    assert it.nanos == sum(
        c.cost_nanos - (repriced(c, PRICES, Usage(input_tokens=4000, output_tokens=20), "gpt-4.1-mini") or 0) for c in calls
    )
    wasted = [
        replace(c, settlement=replace(c.settlement, outcome=OutcomeKind.FAILED)) for c in calls[:1] if c.settlement is not None
    ]
    assert [one.kind for one in opportunities(sample([*calls, *wasted], offered=both))][-1] is OpportunityKind.SHORT_ANSWERS
    tools = [replace(c, settlement=replace(c.settlement, tool_names=("look",))) for c in calls if c.settlement is not None]
    assert OpportunityKind.SHORT_ANSWERS not in found(sample(tools, offered=both))


def test_what_is_less_than_one_per_cent_is_not_worth_a_word() -> None:
    """And a feature without calls has none."""
    good = [priced(model_call(AT + timedelta(hours=n), usage=Usage(input_tokens=900, output_tokens=300))) for n in range(300)]
    bad = replace(good[0], settlement=replace(good[0].settlement, outcome=OutcomeKind.FAILED)) if good[0].settlement else good[0]
    assert OpportunityKind.FAILED_ATTEMPTS not in found(sample([*good, bad]))
    assert opportunities(sample()) == ()


def test_a_model_without_a_price_claims_nothing() -> None:
    """Unknown is never a saving."""
    calls = [model_call(AT, model="house-model", usage=Usage(input_tokens=4000, output_tokens=20)) for _ in range(3)]
    assert found(sample(calls, usual="house-model")) == {}


def test_a_mistake_of_the_week_is_spoken_of_before_a_dearer_habit() -> None:
    """A tenth of the week on a model that nobody uses here, beside a cache that is never read."""
    big = Usage(input_tokens=30_000, output_tokens=200)
    habit = [priced(model_call(AT + timedelta(minutes=n), usage=big)) for n in range(40)]
    swap = [
        priced(model_call(AT + timedelta(hours=n), model="gpt-4-turbo", usage=Usage(input_tokens=9000, output_tokens=500)))
        for n in range(3, 9)
    ]
    kinds = [one.kind for one in opportunities(sample(habit, swap))]
    assert kinds[:2] == [OpportunityKind.UNUSUAL_MODEL, OpportunityKind.CACHE_MISSES]
