"""Money: whole nano-USD, checked at the edge."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.errors import InvalidAmountError
from runguard_core.money import MAX_AMOUNT, ceil_div, check_amount, format_usd, nanos_to_usd, usd_to_nanos


@pytest.mark.parametrize(
    ("given_", "nanos"),
    [("0.50", 500_000_000), ("$1,5".replace(",", "."), 1_500_000_000), (200, 200 * 10**9), (0.1, 100_000_000), ("1_000", 10**12),
     (Decimal("0.000000001"), 1), ("0", 0), ("1e-9", 1)],
)  # fmt: skip
def test_usd_is_read_exactly(given_: object, nanos: int) -> None:
    """Text, numbers and decimals mean what they say, to the nano-dollar."""
    assert usd_to_nanos(given_) == nanos


@pytest.mark.parametrize(
    "bad",
    [
        "nan",
        float("nan"),
        float("inf"),
        "-1",
        -1,
        True,
        False,
        None,
        "",
        "ten",
        "1e400",
        "1e-11",
        2**62,
        "5000000000",
        [],
        b"1",
        "0x10",
    ],
)
def test_what_is_no_amount_is_refused(bad: object) -> None:
    """NaN, infinities, negatives, bools, huge amounts and nonsense are errors that show the value."""
    with pytest.raises(InvalidAmountError) as caught:
        usd_to_nanos(bad)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("bad", [True, -1, 2**62 + 1, 1.0, "1", None, Decimal(1)])
def test_inside_only_whole_numbers_pass(bad: object) -> None:
    """`check_amount` takes an int in 0 .. 2**62 and nothing else."""
    with pytest.raises(InvalidAmountError):
        check_amount(bad)
    assert check_amount(MAX_AMOUNT) == 2**62


@given(st.integers(0, MAX_AMOUNT))
def test_nanos_survive_the_way_to_usd_and_back(nanos: int) -> None:
    """No amount is changed by leaving and coming back."""
    assert usd_to_nanos(str(nanos_to_usd(nanos))) == nanos


@pytest.mark.parametrize(
    ("nanos", "shown"),
    [(0, "$0.00"), (1, "$0.000000001"), (12_345, "$0.00001234"), (10**7, "$0.01"), (12_300_000, "$0.0123"),
     (500_000_000, "$0.50"), (1_234_567_890_000, "$1,234.57"), (-10**9, "-$1.00"), (999, "$0.000000999")],
)  # fmt: skip
def test_amounts_for_people(nanos: int, shown: str) -> None:
    """Never "$0" for something, never more digits than help."""
    assert format_usd(nanos) == shown


@given(st.integers(0, 10**30), st.integers(1, 10**12))
def test_division_rounds_up(numerator: int, denominator: int) -> None:
    """The least whole number that is enough."""
    found = ceil_div(numerator, denominator)
    assert found * denominator >= numerator > (found - 1) * denominator
