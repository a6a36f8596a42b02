"""Reports as the providers' APIs return them: amounts exact, pages complete, days whole; what is none says what was expected."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.finops.bills import Amount, BillError, TokenClass, Unit, focus_bill, read_report

DAY = {"openai": {"start_time": 1_788_912_000, "end_time": 1_788_998_400},  # 2026-09-09
       "anthropic": {"starting_at": "2026-09-09T00:00:00Z", "ending_at": "2026-09-10T00:00:00Z"}}  # fmt: skip


def page(provider: str, *results: dict[str, Any], **more: Any) -> str:
    """One bucket of a day."""
    return json.dumps({"data": [{**DAY[provider], "results": list(results)}], "has_more": False, "next_page": None} | more)


def openai_cost(value: str = "0.06", **more: Any) -> str:
    """A page of costs whose number stands there as text says."""
    result = {"object": "organization.costs.result", "amount": {"value": "VALUE", "currency": "usd"}} | more
    return page("openai", result).replace('"VALUE"', value)


def anthropic_cost(**more: Any) -> dict[str, Any]:
    """A line of the cost report."""
    return {"amount": "123.45", "currency": "USD", "workspace_id": None} | more


def usage(**more: Any) -> dict[str, Any]:
    """A line of OpenAI's usage."""
    return {"object": "organization.usage.completions.result", "input_tokens": 100, "output_tokens": 7, "model": "gpt-4.1"} | more


def failure(text: str, provider: str) -> str:
    """The sentence on a report that cannot be read."""
    with pytest.raises(BillError) as raised:
        read_report([("bill.json", text)], provider)
    return str(raised.value)


def test_openai_writes_dollars_and_anthropic_writes_cents() -> None:
    """0.06 is six cents, "123.45" is a dollar and 23.45 cents."""
    (line,) = read_report([("b", openai_cost())], "openai").costs
    assert (line.nanos, line.day) == (60_000_000, date(2026, 9, 9))
    (line,) = read_report([("b", page("anthropic", anthropic_cost()))], "anthropic").costs
    assert line.nanos == 1_234_500_000


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_a_literal_is_read_to_the_nano_dollar(nanos: int) -> None:
    """As dollars and as cents; no float is in between."""
    assert Amount.read(f"{Decimal(nanos).scaleb(-9):f}", Unit.DOLLARS, "x").nanos == nanos
    assert Amount.read(f"{Decimal(nanos).scaleb(-7):f}", Unit.CENTS, "x").nanos == nanos
    if nanos >= 0:
        found = read_report([("b", openai_cost(f"{Decimal(nanos).scaleb(-9):f}"))], "openai")
        assert found.costs[0].nanos == nanos


def test_seventeen_digits_are_more_than_a_float_has() -> None:
    """The literal counts, not what a float makes of it."""
    (line,) = read_report([("b", openai_cost("8388608.123456789"))], "openai").costs
    assert line.nanos == 8_388_608_123_456_789


@pytest.mark.parametrize("said", ["NaN", "Infinity", "1e30", "twelve", "", 0.5, True, None])
def test_what_is_no_amount_is_none(said: object) -> None:
    """A float has lost its text; NaN would silence every comparison."""
    with pytest.raises(BillError, match="expected an amount in dollars"):
        Amount.read(said, Unit.DOLLARS, "bill.json")


def test_a_number_where_cents_are_text_is_refused() -> None:
    """Dollars that somebody has put into Anthropic's shape."""
    assert "expected a decimal string of cents" in failure(page("anthropic", anthropic_cost(amount=1.23)), "anthropic")


@pytest.mark.parametrize(
    ("text", "provider", "said"),
    [
        ("no json", "openai", "expected JSON as the provider's API returns it"),
        ("{}", "openai", "expected a page with data"),
        (page("openai", usage()), "anthropic", "is a report of openai, not of anthropic"),
        (page("anthropic", anthropic_cost()), "openai", "is a report of anthropic, not of openai"),
        (page("openai", usage(), has_more=True), "openai", "has more pages (usage)"),
        (page("openai", usage(input_cached_tokens=200)), "openai", "expected input_tokens to include cached tokens"),
        (page("openai", usage(input_tokens=-1)), "openai", "expected a count as input_tokens"),
        (page("openai", {"object": "organization.costs.result"}), "openai", "expected an amount"),
        (page("anthropic", anthropic_cost(currency="EUR")), "anthropic", "expected amounts in USD"),
        (openai_cost(amount={"value": 1, "currency": "eur"}), "openai", "expected amounts in usd"),
        (page("openai", usage(), data=[{"start_time": 5, "end_time": 5, "results": []}]), "openai", "end_time after start_time"),
        (page("anthropic", data=[{"starting_at": "x", "ending_at": "y", "results": []}]), "anthropic", "expected a time"),
        (page("openai", data=[3]), "openai", "expected an object"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, provider: str, said: str) -> None:
    """The file, the bucket, what was expected."""
    found = failure(text, provider)
    assert said in found
    assert found.startswith("bill.json")


def test_inclusive_and_exclusive_counts_become_the_same_classes() -> None:
    """OpenAI's input holds what was cached, Anthropic's does not."""
    inclusive = usage(input_tokens=1000, input_cached_tokens=600, input_cache_write_tokens=100)
    exclusive = {
        "uncached_input_tokens": 300, "cache_read_input_tokens": 600, "output_tokens": 7, "model": "claude-haiku-4-5",
        "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
    }  # fmt: skip
    ours = {line.token_class: line.tokens for line in read_report([("b", page("openai", inclusive))], "openai").usage}
    theirs = {line.token_class: line.tokens for line in read_report([("b", page("anthropic", exclusive))], "anthropic").usage}
    c = TokenClass
    assert ours == {c.INPUT: 300, c.CACHE_READ: 600, c.CACHE_WRITE: 100, c.OUTPUT: 7}
    assert theirs == {c.INPUT: 300, c.CACHE_READ: 600, c.CACHE_WRITE: 60, c.CACHE_WRITE_1H: 40, c.OUTPUT: 7}


def test_a_bucket_counts_once_and_days_are_whole() -> None:
    """The same page twice, hours that make a day, and hours that do not."""
    text = page("openai", usage())
    bill = read_report([("a", text), ("b", text)], "openai")
    assert sum(line.tokens for line in bill.usage) == 107
    assert bill.notes == ("buckets of usage that were given twice count once: 1",)
    start = DAY["openai"]["start_time"]
    hours = [
        {"start_time": start + 3600 * hour, "end_time": start + 3600 * (hour + 1), "results": [usage()]} for hour in range(24 + 5)
    ]
    bill = read_report([("a", page("openai", data=hours))], "openai")
    assert bill.usage_days == {date(2026, 9, 9)}
    assert sum(line.tokens for line in bill.usage) == 24 * 107
    assert bill.notes == ("usage cover only a part of 2026-09-10: left out",)


def test_pages_may_be_a_list_or_a_line_each() -> None:
    """As whoever fetched them has kept them; the last one must be there."""
    first, last = page("openai", usage(), has_more=True), page("openai", data=[])
    for text in (f"[{first}, {last}]", f"{first}\n{last}\n"):
        assert sum(line.tokens for line in read_report([("a", text)], "openai").usage) == 107


def test_another_content_of_the_same_bucket_is_no_second_page() -> None:
    """Two reports of different groupings cannot be added up."""
    with pytest.raises(BillError, match="differs from the same bucket in a"):
        read_report([("a", page("openai", usage())), ("b", page("openai", usage(output_tokens=8)))], "openai")


def test_null_is_the_default_workspace_where_workspaces_are_told_apart() -> None:
    """`[billing]` calls it "default"."""
    lines = read_report([("b", page("anthropic", anthropic_cost(), anthropic_cost(workspace_id="w1")))], "anthropic").costs
    assert [line.ids for line in lines] == [("default",), ("w1",)]
    (line,) = read_report([("b", page("anthropic", anthropic_cost()))], "anthropic").costs
    assert line.ids == ()


def test_a_focus_row_has_tokens_money_and_our_feature() -> None:
    """Units with a multiplier; the class by the SKU's details or by the meter's words; text and values alike."""
    row = {
        "ChargePeriodStart": "2026-09-09T00:00:00Z", "BilledCost": "1.25", "BillingCurrency": "USD", "ProviderName": "OpenAI",
        "ConsumedQuantity": "1.5", "ConsumedUnit": "1000 Tokens", "SkuId": "gpt-4.1/cache_read", "SkuMeter": "cache_read tokens",
        "Tags": json.dumps({"feature_id": "search"}), "SubAccountId": "team-a",
    }  # fmt: skip
    bill = focus_bill([row, row | {"SkuMeter": "output tokens", "BilledCost": Decimal("0.5")}], "bill.csv")
    first, second = bill.costs
    assert (first.token_class, first.tokens, first.nanos) == (TokenClass.CACHE_READ, 1500, 1_250_000_000)
    assert (first.model, first.feature, first.ids) == ("gpt-4.1", "search", ("team-a",))
    assert second.token_class is TokenClass.OUTPUT
    assert bill.provider == "openai"
    for column, value, said in [
        ("BillingCurrency", "EUR", "expected BillingCurrency USD"), ("BilledCost", "", "BilledCost is missing"),
        ("BilledCost", "x", "expected an amount"), ("ConsumedQuantity", "x", "as ConsumedQuantity"),
        ("ChargePeriodStart", "x", "as ChargePeriodStart"),
    ]:  # fmt: skip
        with pytest.raises(BillError, match=said):
            focus_bill([row | {column: value}], "bill.csv")
