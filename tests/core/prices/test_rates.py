"""Prices: the same answer as genai-prices, in integers, rounded up once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.calls import ModelCall, PromptPart
from runguard_core.errors import UnknownModelError
from runguard_core.prices import Learned, PriceBook, PriceOverride, flat_rates, quote_bound, quote_expected
from runguard_core.prices._compile import GENAI_KEYS, compile_rates
from runguard_core.usage import USAGE_FIELDS, Usage

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
MODELS = [(provider, model) for provider in get_snapshot().providers for model in provider.models]


@st.composite
def usages(draw: Any) -> Usage:
    """Counts that can be: parts never exceed their whole."""
    size = st.integers(0, 400_000)
    plain, read, write, hour, answer, thought = (draw(size) for _ in range(6))
    return Usage(
        input_tokens=plain + read + write + hour, cache_read_input_tokens=read, cache_creation_input_tokens=write + hour,
        cache_creation_1h_input_tokens=hour, output_tokens=answer + thought, reasoning_output_tokens=thought,
    )  # fmt: skip


@given(st.sampled_from(MODELS), usages(), st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)))
def test_every_listed_model_costs_what_genai_prices_says(which: Any, usage: Usage, at: datetime) -> None:
    """Tiers, cache reads and writes, dates and times of day; rounded up to the nano-dollar."""
    provider, model = which
    when = at.replace(tzinfo=UTC)
    values = {key: getattr(usage, name) for key, name in zip(GENAI_KEYS, USAGE_FIELDS, strict=True)}
    theirs = model.calc_price(TheirUsage(**values), provider, genai_request_timestamp=when).total_price
    wanted = int((theirs * 10**9).to_integral_value(rounding=ROUND_CEILING))
    assert compile_rates(provider, model, when, "t").charge(usage) == wanted


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("gpt-4o-mini", Usage(input_tokens=1000, output_tokens=500), "0.00045"),
        ("gpt-4o", Usage(input_tokens=1000, cache_read_input_tokens=800, output_tokens=500), "0.0065"),
        (
            "claude-sonnet-4-5",
            Usage(input_tokens=9000, cache_read_input_tokens=6000, cache_creation_input_tokens=2000, output_tokens=1),
            "0.012315",
        ),
        (
            "claude-sonnet-4-5",
            Usage(input_tokens=1000, cache_creation_input_tokens=1000, cache_creation_1h_input_tokens=1000),
            "0.006",
        ),
        ("gpt-4o-2024-08-06", Usage(input_tokens=1_000_000), "2.5"),
        ("anthropic/claude-haiku-4-5", Usage(input_tokens=1000), "0.001"),
    ],
)
def test_sums_worked_by_hand(model: str, usage: Usage, usd: str) -> None:
    """From the price lists of November 2026."""
    assert PriceBook().rates(model, None, AT).charge(usage) == int(Decimal(usd) * 10**9)


def test_service_tiers_have_their_own_rates() -> None:
    """Batch is half price."""
    rates = PriceBook().rates("gpt-5", None, AT)
    usage = Usage(input_tokens=1000, output_tokens=100)
    assert rates.charge(usage, "batch") * 2 == rates.charge(usage)
    assert rates.charge(usage, "no such tier") == rates.charge(usage)


def test_counts_that_contradict_each_other_never_lower_the_charge() -> None:
    """More cache reads than input: read as the larger total."""
    rates = PriceBook().rates("gpt-4o", None, AT)
    assert rates.charge(Usage(input_tokens=1, cache_read_input_tokens=1000)) == rates.charge(
        Usage(input_tokens=1000, cache_read_input_tokens=1000)
    )


@pytest.mark.parametrize("name", ["gpt-4o-minni", "", "x" * 10_000, "a\0b", "'; DROP", "🦄", "no/such/model"])
def test_unknown_and_hostile_names_are_refused_by_name(name: str) -> None:
    """Never a guess, never 0."""
    with pytest.raises(UnknownModelError) as caught:
        PriceBook().rates(name, None, AT)
    assert isinstance(caught.value, LookupError)
    if name == "gpt-4o-minni":
        assert caught.value.nearest[0] == "gpt-4o-mini"


def test_the_policy_overrides_the_list() -> None:
    """An alias, a price, a free local model."""
    book = PriceBook({
        "my-deployment": PriceOverride(same_as="openai:gpt-4o-mini"), "mine": PriceOverride(nanos_per_mtok={"input": 2 * 10**9}),
        "llama": PriceOverride(nanos_per_mtok={"input": 0}),
    })  # fmt: skip
    usage = Usage(input_tokens=1000, output_tokens=1000)
    assert book.rates("my-deployment", None, AT).charge(usage) == PriceBook().rates("gpt-4o-mini", None, AT).charge(usage)
    assert book.rates("mine", None, AT).charge(usage) == 2_000_000
    assert book.rates("llama", "ollama", AT).charge(usage) == 0


@pytest.mark.parametrize("name", ["tts-1", "whisper-1"])
def test_what_is_billed_by_characters_or_seconds_only_has_no_price_in_tokens(name: str) -> None:
    """It would pass as free; the policy prices it by the call."""
    with pytest.raises(UnknownModelError) as caught:
        PriceBook().rates(name, "openai", AT)
    assert "per_request_usd" in str(caught.value)
    assert name not in caught.value.nearest
    by_call = PriceBook({name: PriceOverride(nanos_per_mtok={"per_request": 15_000_000})})
    assert by_call.rates(name, "openai", AT).charge(Usage(input_tokens=1000)) == 15_000_000


def test_an_override_holds_under_a_providers_prefix_too() -> None:
    """Frameworks write "openai/NAME"."""
    book = PriceBook({"mine": PriceOverride(nanos_per_mtok={"input": 2 * 10**9})})
    assert book.rates("openai/mine", None, AT).charge(Usage(input_tokens=1000)) == 2_000_000


def test_a_price_that_changes_with_time_is_looked_up_again() -> None:
    """Deepseek has off-peak hours, or a dated change; both are found by the call's instant."""
    book = PriceBook()
    timed = next(
        (p, m)
        for p, m in MODELS
        if (isinstance(m.prices, list) and len(m.prices) > 1 and p.id == "anthropic") or m.id == "deepseek-chat"
    )
    provider, model = timed
    for hours in range(0, 24 * 900, 24 * 30):
        at = datetime(2024, 6, 1, 17, tzinfo=UTC) + timedelta(hours=hours)
        assert book.rates(model.id, provider.id, at).base == compile_rates(provider, model, at, "t").base


def test_the_first_quote_is_small_and_later_ones_are_learned() -> None:
    """max_tokens of 64,000 does not count; what the model really answers does."""
    learned, rates = Learned(), PriceBook().rates("claude-sonnet-4-5", None, AT)
    call = ModelCall(model="claude-sonnet-4-5", parts=(PromptPart("user", 4000),), max_output_tokens=64_000)
    first = quote_expected(call, rates, learned.lesson("a", call.model))
    assert (first.is_bound, first.output_tokens) == (False, 613)
    for _ in range(200):
        learned.lesson("a", call.model).observe(call, Usage(input_tokens=800, output_tokens=50))
    later = quote_expected(call, rates, learned.lesson("a", call.model))
    assert later.output_tokens == 50
    assert abs(later.input_tokens - 800) < 12
    assert quote_expected(call, rates, learned.lesson("other agent", call.model)).output_tokens == 613


def test_an_expected_quote_never_passes_the_requests_own_limit() -> None:
    """min(max_tokens, P99) times the number of answers."""
    call = ModelCall(model="m", max_output_tokens=10, choice_count=3)
    assert quote_expected(call, flat_rates({}, model_id="m"), Learned().lesson("", "m")).output_tokens == 30


@given(st.text(max_size=300), st.integers(1, 500), st.integers(1, 3))
def test_a_bound_is_never_below_what_a_call_can_cost(text: str, limit: int, choices: int) -> None:
    """A token is at least a byte; an answer ends at the limit."""
    rates = PriceBook().rates("claude-sonnet-4-5", None, AT)
    size = len(text.encode("utf-8", "replace"))
    call = ModelCall(
        model="m", parts=(PromptPart("user", len(text)),), input_bytes=size, max_output_tokens=limit, choice_count=choices
    )
    quote = quote_bound(call, rates, 100)
    worst = Usage(
        input_tokens=size, cache_creation_input_tokens=size, cache_creation_1h_input_tokens=size, output_tokens=limit * choices
    )
    assert quote.is_bound
    assert quote.nanos is not None
    assert quote.nanos >= rates.charge(worst)


def test_what_has_no_bound_says_so() -> None:
    """Media, and answers without any limit."""
    rates = PriceBook().rates("gpt-4o", None, AT)
    assert not quote_bound(ModelCall(model="m", media_count=1, max_output_tokens=5), rates, 10).is_bound
    assert not quote_bound(ModelCall(model="m"), flat_rates({"output": 1}, model_id="m"), 10).is_bound
    assert quote_bound(ModelCall(model="m", can_cap_output=True), rates, 77).output_tokens == 77
    assert quote_bound(ModelCall(model="m", max_output_tokens=5), None, 10).nanos is None
