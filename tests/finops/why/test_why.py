"""Why spend changed: the parts add up to the change to the nano-dollar, and each is about what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runguard_core.attribution import feature_of
from runguard_core.errors import PolicyError
from runguard_core.finops import CALENDAR, Calendar
from runguard_core.finops.why import FACTORS, Factor, Measured, ModelUse, last_two, named_window, split_change, why
from runguard_core.finops.why._splitting import _shapley
from runguard_core.ledger import CallFilter, Hold, Store
from runguard_core.money import whole_parts
from runguard_core.prices import PriceBook, PriceOverride
from runguard_core.stores import open_store
from runguard_core.testing._ledger_values import DAY, LATER, a_call, a_settlement
from runguard_core.usage import Usage
from tests.finops.conftest import SHOP

WEIGHTS = tuple(Fraction(number) for number in (2000, 8000, -1500, 500, 1500, 0, 0, 0, 0, 0, 0, 0))
PRICES = PriceBook({"m": PriceOverride(nanos_per_mtok={"input": 2 * 10**9, "output": 8 * 10**9, "cache_read": 5 * 10**8})})
COUNTS = st.integers(0, 10**7)


@st.composite
def uses(draw: st.DrawFn) -> ModelUse:
    """Calls of a model: free, unpriced and tokenless ones among them."""
    prompt = draw(COUNTS)
    usage = Usage(
        input_tokens=prompt,
        output_tokens=draw(COUNTS),
        cache_read_input_tokens=draw(st.integers(0, prompt)),
        web_search_count=draw(st.integers(0, 3)),
    )
    return ModelUse(draw(st.integers(1, 50)), draw(st.integers(0, 10**12)), draw(st.sampled_from([usage, Usage()])))


MEASURED = st.one_of(
    st.just(Measured()),
    st.builds(
        Measured,
        st.integers(1, 30),
        st.dictionaries(st.sampled_from([("p", "big"), ("p", "small"), ("", "other")]), uses(), max_size=3),
        st.integers(0, 10**10),
    ),
)


def split(before: Measured, after: Measured) -> dict[Factor, int]:
    """Of one feature, with a price list that knows some models."""

    def weights(key: tuple[str, str]) -> tuple[Fraction, ...] | None:
        return WEIGHTS if key[1] != "other" else None

    return dict(zip(FACTORS, split_change(before, after, (weights, weights)), strict=True))


@given(before=MEASURED, after=MEASURED)
@settings(deadline=None, max_examples=150)
def test_effects_add_up_to_the_change_to_the_nano_dollar_and_turn_with_the_direction(before: Measured, after: Measured) -> None:
    """For any two states of a feature, those without a call, a token or a price among them."""
    there, back = split(before, after), split(after, before)
    assert sum(there.values()) == after.nanos - before.nanos
    assert all(abs(there[factor] + back[factor]) <= 1 for factor in FACTORS)


@given(
    calls=st.lists(
        st.tuples(
            st.integers(0, 13), st.sampled_from(["a", "b"]), st.sampled_from("xyz"), st.integers(0, 10**9), st.integers(0, 9)
        ),
        max_size=12,
    )
)
@settings(deadline=None, max_examples=40)
def test_any_calls_of_two_weeks_are_explained_to_the_nano_dollar(calls: list[tuple[int, str, str, int, int]]) -> None:
    """By feature and in sum, against the calls themselves."""
    store, monday = open_store("memory://"), datetime(2026, 11, 9, tzinfo=UTC)
    for day, feature, session, nanos, cached in calls:
        at = monday + timedelta(days=day, hours=5)
        call = replace(a_call(at=at, feature=feature, session=session), provider=None)
        store.reserve(call, [Hold(DAY, 0, None)], expires_at=LATER + timedelta(days=99), owner="o")
        usage = Usage(input_tokens=9, output_tokens=2, cache_read_input_tokens=cached)
        store.post(call.id, replace(a_settlement(nanos, at=at), usage=usage, amounts={DAY.key: nanos}))
    windows = CALENDAR.week(date(2026, 11, 9)), CALENDAR.week(date(2026, 11, 16))
    found = why(store, "app", windows, PRICES)
    spent = [sum(row[3] for row in calls if row[0] // 7 == week) for week in (0, 1)]
    assert (found.whole.before.nanos, found.whole.after.nanos) == tuple(spent)
    assert sum(found.whole.effects.values()) == spent[1] - spent[0]
    for one in found.features:
        assert sum(one.effects.values()) == one.nanos
    for factor in FACTORS:
        assert found.whole.effects[factor] == sum(one.effects[factor] for one in found.features)


@pytest.mark.parametrize("first", range(5))
def test_weeks_of_real_shaped_traffic_are_explained_to_the_nano_dollar(shop: Store, first: int) -> None:
    """Each week against the next, by feature, against the calls."""
    windows = tuple(CALENDAR.week(date(2026, 8, 3) + timedelta(weeks=first + more)) for more in (0, 1))
    found = why(shop, SHOP, windows, PriceBook())
    for one in found.features:
        spent = [
            sum(
                c.cost_nanos
                for c in shop.calls(CallFilter(app=SHOP, since=w.start, until=w.end))
                if feature_of(c.attribution) == one.name
            )
            for w in windows
        ]
        assert sum(one.effects.values()) == one.nanos == spent[1] - spent[0]
    assert found == why(shop, SHOP, windows, PriceBook())
    alone = why(shop, SHOP, windows, PriceBook(), "search")
    assert alone.features == (alone.features[0],) == tuple(one for one in found.features if one.name == "search")


BEFORE = Measured(
    10,
    {
        ("p", "big"): ModelUse(20, 20 * 10 * 2000, Usage(input_tokens=20 * 10)),
        ("p", "small"): ModelUse(20, 20 * 10 * 200, Usage(input_tokens=20 * 10)),
    },
    10**6,
)


def changed(count: int = 1, tokens: int = 1, nanos: int = 1) -> Measured:
    """BEFORE with all of its calls, tokens, charges multiplied."""
    models = {}
    for key, use in BEFORE.models.items():
        models[key] = ModelUse(use.call_count * count, use.nanos * nanos, Usage(input_tokens=use.usage.input_tokens * tokens))
    return replace(BEFORE, models=models)


CACHED = replace(
    BEFORE,
    models=dict(BEFORE.models)
    | {("p", "big"): ModelUse(20, 20 * (5 * 2000 + 5 * 500), Usage(input_tokens=200, cache_read_input_tokens=100))},
)
MIXED = replace(
    BEFORE,
    models={
        ("p", "big"): ModelUse(30, 30 * 10 * 2000, Usage(input_tokens=300)),
        ("p", "small"): ModelUse(10, 10 * 10 * 200, Usage(input_tokens=100)),
    },
)


@pytest.mark.parametrize(
    ("after", "factor"),
    [
        (BEFORE + BEFORE, Factor.TRAFFIC),
        (changed(count=3, tokens=3, nanos=3), Factor.CALLS),
        (changed(tokens=2, nanos=2), Factor.TOKENS),
        (changed(nanos=2), Factor.PRICE),
        (CACHED, Factor.CACHING),
        (MIXED, Factor.MIX),
        (replace(BEFORE, tool_nanos=7 * 10**6), Factor.REST),
        (Measured(), Factor.TRAFFIC),
    ],
)
def test_what_changed_alone_is_the_whole_reason(after: Measured, factor: Factor) -> None:
    """Twice the sessions is traffic and nothing else; a cache that begins to work is caching; a feature that ends is traffic."""
    found = split(BEFORE, after)
    assert found[factor] == after.nanos - BEFORE.nanos != 0
    assert sum(map(abs, found.values())) == abs(found[factor])


def test_a_model_that_takes_over_is_mix_also_when_it_was_not_there_before() -> None:
    """Its token counts are unknown in the first window, so they are not blamed."""
    after = replace(BEFORE, models={("p", "new"): ModelUse(40, 40 * 99_000, Usage(input_tokens=40 * 77))})
    found = split(BEFORE, after)
    assert found[Factor.MIX] == after.nanos - BEFORE.nanos


def test_no_order_of_the_factors_decides_who_is_blamed() -> None:
    """The effect of each is its mean over all 5,040 orders, worked out one by one."""

    def value(mask: int) -> Fraction:
        return Fraction((mask * 2654435761) % 1009)

    sums = [Fraction(0)] * len(FACTORS)
    orders = list(permutations(range(len(FACTORS))))
    for order in orders:
        mask = 0
        for place in order:
            sums[place] += value(mask | 1 << place) - value(mask)
            mask |= 1 << place
    assert _shapley(value) == [total / len(orders) for total in sums]


def test_remainders_go_to_the_largest_first() -> None:
    """Halves by order, negative parts too."""
    assert whole_parts([Fraction(1, 2), Fraction(1, 2), Fraction(0)], 1) == [1, 0, 0]
    assert whole_parts([Fraction(-1, 3), Fraction(-2, 3), Fraction(10)], 9) == [0, -1, 10]


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("2026-W47", date(2026, 11, 16), date(2026, 11, 23)),
        ("2026-w01", date(2025, 12, 29), date(2026, 1, 5)),
        ("2026-11", date(2026, 11, 1), date(2026, 12, 1)),
        ("2026-Q4", date(2026, 10, 1), date(2027, 1, 1)),
        ("2026-11-24", date(2026, 11, 24), date(2026, 11, 25)),
        ("2026-11-20..2026-12-01", date(2026, 11, 20), date(2026, 12, 2)),
    ],
)
def test_windows_are_named_as_people_write_them(text: str, first: date, end: date) -> None:
    """The last day of a span is in it."""
    found = named_window(CALENDAR, text)
    assert (found.first_day, found.end_day) == (first, end)


def test_a_quarter_is_that_of_the_teams_own_year() -> None:
    """With a year from April Q4 begins in January of the next year; names lead back to themselves."""
    calendar = Calendar(year_starts_in=4)
    found = named_window(calendar, "2026-Q4")
    assert (found.first_day, found.name) == (date(2027, 1, 1), "2026-Q4")


@pytest.mark.parametrize("text", ["", "2026-W60", "2026-13", "yesterday", "2026-11-20..2026-11-01", "2026-Q5"])
def test_what_names_no_window_says_where_it_was_written(text: str) -> None:
    """And what is expected."""
    with pytest.raises(PolicyError, match=r"--from.*2026-W47"):
        named_window(CALENDAR, text, "--from")


def test_without_windows_the_last_whole_week_is_compared_with_the_one_before() -> None:
    """On a Monday too."""
    names: Callable[[datetime], list[str]] = lambda now: [window.name for window in last_two(CALENDAR, now)]  # noqa: E731
    assert names(datetime(2026, 11, 25, tzinfo=UTC)) == names(datetime(2026, 11, 23, tzinfo=UTC)) == ["2026-W46", "2026-W47"]
