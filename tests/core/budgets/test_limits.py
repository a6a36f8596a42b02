"""Limits as people write them."""

from __future__ import annotations

import pytest

from runguard_core.budgets import Budget, Period, parse_limit, parse_share, show_amount
from runguard_core.errors import PolicyError
from runguard_core.ledger import Unit


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("0.50 USD", 500_000_000, Unit.USD), ("$5", 5 * 10**9, Unit.USD), (200, 200 * 10**9, Unit.USD),
     ("200k tokens", 200_000, Unit.TOKENS), ("1.5m tokens", 1_500_000, Unit.TOKENS), ("40 turns", 40, Unit.TURNS),
     ("30 calls", 30, Unit.CALLS), ("12 tool calls", 12, Unit.TOOL_CALLS), ("10m", 600_000, Unit.SECONDS),
     ("90 seconds", 90_000, Unit.SECONDS), ("1h", 3_600_000, Unit.SECONDS), ("1,000 USD", 10**12, Unit.USD), (0.1, 10**8, Unit.USD)],
)  # fmt: skip
def test_limits_are_read(text: object, amount: int, unit: Unit) -> None:
    """Amount and unit, in the unit's smallest part."""
    found = parse_limit(text)
    assert (found.amount, found.unit) == (amount, unit)


@pytest.mark.parametrize(
    "bad",
    ["", "abc", "5 bananas", "-1 USD", "1.5 calls", "nan", True, None, "5 USD per day", "9e99 USD", "99999999999 USD"],
)
def test_bad_limits_name_the_key_and_what_belongs_there(bad: object) -> None:
    """The error is a policy error with an example."""
    with pytest.raises(PolicyError) as caught:
        parse_limit(bad, key="budgets[0].limit")
    assert caught.value.key == "budgets[0].limit"
    assert "expected" in str(caught.value) or "too large" in str(caught.value)


def test_shares_and_amounts_of_a_landing_allowance() -> None:
    """ "2 %" of the limit or an amount below it."""
    limit = parse_limit("10 USD")
    assert parse_share("2 %", limit, key="landing") == 200_000_000
    assert parse_share("0.25 USD", limit, key="landing") == 250_000_000
    for bad in ("100 %", "-1 %", "11 USD", "5 calls", "x %"):
        with pytest.raises(PolicyError):
            parse_share(bad, limit, key="landing")


def test_amounts_are_shown_without_needless_digits() -> None:
    """Money keeps two places, counts none."""
    assert show_amount(500_000_000, Unit.USD) == "0.50 USD"
    assert show_amount(1_234_567, Unit.USD) == "0.001234567 USD"
    assert show_amount(40, Unit.TURNS) == "40 turns"
    assert show_amount(1500, Unit.SECONDS) == "1.5 seconds"


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"period": "year"}, "period"),
        ({"mode": "maybe"}, "mode"),
        ({"thresholds": [2]}, "thresholds"),
        ({"landing": "200 %"}, "landing"),
    ],
)
def test_a_wrong_budget_says_which_key(wrong: dict[str, object], key: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(PolicyError) as caught:
        Budget("5 USD", **wrong)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.key == key


def test_a_period_implies_its_split() -> None:
    """A run budget is per run, a turn budget per turn of a run."""
    assert Budget("1 USD", period="run").per == ("run",)
    assert Budget("1 USD", period=Period.TURN).per == ("run", "instance", "turn")
    assert Budget("1 USD", per="session").name == "session"
    assert Budget("1 USD", where={"agent": "planner"}, period="day").name == "planner-day"
