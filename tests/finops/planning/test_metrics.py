"""Metrics in the ledger: read, corrected, summed; and limits that follow them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.budgets import Limit, Period, parse_limit
from runguard_core.errors import PolicyError
from runguard_core.finops import Calendar
from runguard_core.finops.planning import (
    Covers,
    Metric,
    MetricBook,
    MetricRule,
    Resolved,
    Tally,
    book_of,
    import_events,
    latest,
    of_metric,
    read_following,
    read_metrics,
    share_of,
    total_in,
    watermark,
)
from runguard_core.ledger import EventFilter, Unit
from runguard_core.stores import open_store

CALENDAR = Calendar(zone=ZoneInfo("Europe/Berlin"))
TODAY = date(2026, 11, 25)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
FALLBACK = parse_limit("50 USD")


def row(day: str, value: object, name: str = "revenue", feature: str | None = None, covers: Covers = Covers.DAY) -> Metric:
    """A row."""
    return Metric(name=name, day=date.fromisoformat(day), value=Decimal(str(value)), feature=feature, covers=covers)


def book(*rows: Metric) -> MetricBook:
    """What holds after an import."""
    return book_of(import_events(MetricBook(), rows, "shop", "x.csv", NOW))


def follow(text: str, it: MetricBook, period: Period = Period.MONTH, feature: str | None = None, **more: MetricRule) -> Resolved:
    """What a limit comes to today."""
    following = read_following(text)
    assert following is not None
    return of_metric("b", following, period, feature, it, more, FALLBACK, CALENDAR, TODAY)


def test_csv_and_json_give_the_same_rows() -> None:
    """With and without features; a byte order mark, blank lines and "Active Users" are no trouble; a month is named by its first."""
    text = "\ufeffDate,metric,feature,value,covers\n2026-11-03,Active Users,search,12.5,\n\n2026-10-15,revenue,,900,month\n"
    rows = read_metrics(text, "m.csv", CALENDAR, TODAY)
    assert rows == [
        row("2026-11-03", "12.5", "active_users", "search"), row("2026-10-01", "900", covers=Covers.MONTH),
    ]  # fmt: skip
    listed = '[{"date":"2026-11-03","metric":"active-users","feature":"search","value":12.5},'
    listed += '{"date":"2026-10-15","metric":"revenue","feature":null,"value":"900","covers":"month"}]'
    assert read_metrics(listed, "m.json", CALENDAR, TODAY) == rows
    assert read_metrics(listed[1:-1].replace("},{", "}\n{"), "m.jsonl", CALENDAR, TODAY) == rows


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("", "(file)", "the file is empty"),
        ("date,metric,value\n2026-11-03,revenue\n", "row 2", "expected 3 cells, got 2"),
        ("date,metric,worth\n2026-11-03,revenue,4\n", "row 2.worth", "unknown column"),
        ("date,metrics,value\n2026-11-03,revenue,4\n", "row 2.metrics", "did you mean 'metric'?"),
        ("date,metric,value\n2026-11-03,revenue,\n", "row 2.value", "there is none"),
        ("date,metric,value\n03.11.2026,revenue,4\n", "row 2.date", "a date such as"),
        ("date,metric,value\n2026-11-26,revenue,4\n", "row 2.date", "up to today"),
        ("date,metric,value\n2026-11-03,revenue,4 USD\n", "row 2.value", "without a unit"),
        ("date,metric,value\n2026-11-03,revenue,NaN\n", "row 2.value", "finite"),
        ("date,metric,value,covers\n2026-11-03,revenue,4,year\n", "row 2.covers", "day, week or month"),
        ('[{"date": "2026-11-03", "metric": "revenue", "value": true}]', "row 1.value", "a number"),
        ("[3]", "row 1", "an object"),
        ("[", "(file)", "not JSON"),
    ],
)
def test_a_mistake_names_the_file_the_row_and_the_column(text: str, key: str, said: str) -> None:
    """And what was expected there."""
    with pytest.raises(PolicyError) as found:
        read_metrics(text, "m.csv", CALENDAR, TODAY)
    assert (found.value.file, found.value.key) == ("m.csv", key)
    assert said in str(found.value)


def test_a_file_may_be_imported_by_any_number_of_processes_and_again() -> None:
    """The ledger has each row once; a correction holds, also one back to the first value."""
    store = open_store("memory://")
    rows = [row("2026-11-01", 10), row("2026-11-02", 20)]

    def read() -> MetricBook:
        return book_of(store.events(EventFilter(app="shop")))

    raced = import_events(read(), rows, "shop", "a.csv", NOW)
    assert store.announce(raced) == 2
    assert store.announce(import_events(MetricBook(), rows, "shop", "b.csv", NOW + timedelta(hours=1))) == 0
    assert import_events(read(), rows, "shop", "a.csv", NOW) == []
    for value in (15, 10, 15):
        assert store.announce(import_events(read(), [row("2026-11-01", value)], "shop", "c.csv", NOW)) == 1
        assert total_in(read().series("revenue", None), CALENDAR.day(date(2026, 11, 1)), CALENDAR) == value


def test_a_merged_ledger_says_the_same_in_any_order() -> None:
    """The last revision holds, not what was written last."""
    first = import_events(MetricBook(), [row("2026-11-01", 1), row("2026-11-02", 2)], "shop", "a.csv", NOW)
    second = import_events(book_of(first), [row("2026-11-01", 5)], "shop", "b.csv", NOW)
    assert book_of([*second, *first]) == book_of([*first, *second])
    assert latest(book_of([*second, *first][:2]).series("revenue", None)) == (Fraction(5), date(2026, 11, 1))


def test_the_sum_of_a_window_is_known_only_when_every_day_of_it_is() -> None:
    """A month is spread over its days, a narrower row holds against a wider one."""
    month = [row("2026-10-01", 310, covers=Covers.MONTH)]
    october, week = CALENDAR.month(date(2026, 10, 1)), CALENDAR.week(date(2026, 10, 26))
    assert total_in(month, october, CALENDAR) == 310
    assert total_in(month, week, CALENDAR) is None, "1 November is not spoken of"
    assert total_in(month, CALENDAR.week(date(2026, 10, 12)), CALENDAR) == 70
    it = book(*month, row("2026-10-12", 17))
    assert total_in(it.series("revenue", None), october, CALENDAR) == 317
    assert watermark(month, CALENDAR) == date(2026, 10, 31)


def test_the_whole_product_is_its_own_rows_or_all_features_together() -> None:
    """Never both."""
    parts = [row("2026-11-01", 3, "users", "a"), row("2026-11-02", 4, "users", "b")]
    assert latest(book(*parts).series("users", None)) == (Fraction(7), date(2026, 11, 2))
    assert latest(book(*parts, row("2026-11-01", 6, "users")).series("users", None)) == (Fraction(6), date(2026, 11, 1))
    assert latest(book(*parts).series("users", "a")) == (Fraction(3), date(2026, 11, 1))
    assert latest(()) is None


def test_three_per_cent_of_last_months_revenue() -> None:
    """$1,500 of $50,000, whatever this month brought so far; the arithmetic is said."""
    it = book(row("2026-10-01", 50_000, covers=Covers.MONTH), row("2026-11-02", 9))
    found = follow("3 % of revenue", it)
    assert found.limit == parse_limit("1500 USD")
    assert found.how == "3 % of revenue 50,000 (2026-10) = 1,500.00 USD"


def test_a_month_that_is_not_over_does_not_count_yet() -> None:
    """A figure for all of November on the 25th is no whole month: October's holds, or the fallback."""
    november = row("2026-11-01", 7, covers=Covers.MONTH)
    assert follow("3 % of revenue", book(november)).is_fallback
    assert follow("3 % of revenue", book(november, row("2026-10-01", 100, covers=Covers.MONTH))).limit == parse_limit("3 USD")


def test_a_week_follows_the_last_whole_week_and_a_day_a_seventh_of_it() -> None:
    """Monday to Sunday; the days of this week do not count yet."""
    days = [row(f"{date(2026, 11, 16) + timedelta(days=number)}", 10 + number) for number in range(9)]
    assert follow("10% of revenue", book(*days), Period.WEEK).limit == parse_limit("9.1 USD")
    assert follow("10% of revenue", book(*days), Period.DAY).limit == parse_limit("1.3 USD")


def test_an_amount_for_each_active_user_counts_the_latest_figure() -> None:
    """Six cents for each of 900, the metric's plural found."""
    found = follow("0.06 USD per active user", book(row("2026-11-20", 900, "active_users"), row("2026-10-20", 1, "active_users")))
    assert (found.limit, found.age_days, found.is_stale) == (parse_limit("54 USD"), 5, False)
    assert follow("2k tokens per seat", book(row("2026-11-20", 3, "seats"))).limit == Limit(6000, Unit.TOKENS)


def test_the_policy_may_say_how_a_metric_counts() -> None:
    """Orders are a sum though the sentence says "per"."""
    it = book(row("2026-10-01", 300, "orders", covers=Covers.MONTH))
    assert follow("0.01 USD per order", it, orders=MetricRule(tally=Tally.SUM)).limit == parse_limit("3 USD")


@pytest.mark.parametrize(("covers", "stale_after"), [(Covers.DAY, 7), (Covers.WEEK, 14), (Covers.MONTH, 62)])
def test_a_metric_is_stale_when_older_than_twice_what_a_row_covers(covers: Covers, stale_after: int) -> None:
    """At least a week; how old it is is said either way, and the limit stays what it came to."""
    span = CALENDAR.of_kind(covers.value, date(2026, 10, 5))
    it, last = book(row(f"{span.first_day}", 100, covers=covers)), span.end_day - timedelta(days=1)
    following = read_following("0.5 USD per user")
    assert following is not None
    it = MetricBook(
        {("users", *key[1:]): Metric(name="users", day=r.day, value=r.value, covers=covers) for key, r in it.rows.items()}
    )
    for days, is_stale in ((stale_after, False), (stale_after + 1, True)):
        today = last + timedelta(days=days)
        found = of_metric("b", following, Period.DAY, None, it, {}, FALLBACK, CALENDAR, today)
        assert (found.age_days, found.is_stale, found.limit) == (days, is_stale, FALLBACK)


@pytest.mark.parametrize(
    ("it", "why"),
    [
        (MetricBook(), "it was never imported"),
        (book(row("2026-11-20", 5)), "no whole month of it was imported"),
        (book(row("2026-10-01", 5, feature="other", covers=Covers.MONTH)), "it was never imported"),
    ],
)
def test_without_the_metric_the_fallback_holds_and_says_why(it: MetricBook, why: str) -> None:
    """There is no limit without a number."""
    found = follow("3 % of revenue", it, feature="search")
    found = follow("3 % of revenue", it) if "whole" in why else found
    assert (found.limit, found.is_fallback) == (FALLBACK, True)
    assert why in found.how


values = st.decimals(-(10**9), 10**15, allow_nan=False, allow_infinity=False, places=4)


@given(values, values, st.sampled_from(["3 % of revenue", "0.06 USD per revenue", "700 tokens per revenue", "100 % of revenue"]))
def test_a_limit_grows_with_its_metric_and_is_always_an_amount(one: Decimal, other: Decimal, text: str) -> None:
    """Monotone, between nothing and what an account holds; a share of money never exceeds it."""
    less, more = sorted((one, other))
    limits: list[int] = []
    for value in (less, more):
        found = follow(text, book(row("2026-10-01", value, covers=Covers.MONTH))).limit.amount
        assert 0 <= found <= 2**62
        limits.append(found)
        if "%" in text:
            assert found <= max(value, 0) * 10**9
    assert limits[0] <= limits[1]


@given(st.integers(0, 2**62), st.decimals("0.0001", 100, places=4))
def test_a_share_of_a_budget_never_exceeds_it(amount: int, share: Decimal) -> None:
    """Rounded down, so that n equal shares of 1/n fit too."""
    following = read_following(f"{share} % of feature-day")
    assert following is not None
    found = share_of("b", following, "feature-day", Limit(amount, Unit.USD)).limit
    assert found.amount <= amount
    assert found.amount * int(100 / share) <= amount


@pytest.mark.parametrize("text", ["0 % of x", "101 % of x", "-3 % of x", "nan % of x", "three % of x", "1 parsec per user"])
def test_what_is_no_share_and_no_amount_is_an_error(text: str) -> None:
    """Named by its key."""
    with pytest.raises(PolicyError, match=r"budgets\.0\.limit"):
        read_following(text, key="budgets.0.limit")


@pytest.mark.parametrize("text", ["5 USD", "40 turns", "10m", 3, 0.5])
def test_plain_limits_follow_nothing(text: object) -> None:
    """They are read as ever."""
    call: Callable[..., object] = read_following
    assert call(text) is None
