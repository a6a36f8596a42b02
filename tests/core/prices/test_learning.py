"""The running percentile is the one of the whole window, though only its largest answers are kept in order."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from runguard_core.prices._learning import Window

#: Few different lengths (ties), many, and rare outliers.
LENGTHS = st.one_of(st.integers(0, 3), st.integers(0, 5000), st.sampled_from([50, 50, 50, 8000]))


def expected(window: list[int]) -> int:
    """By sorting all of it."""
    count = len(window)
    if count >= 100:
        return max(1, sorted(window)[min(count - 1, int(count * 0.99))])
    return max(1, ceil(max(window) * (2 * count + 1) / (2 * count)))


@given(st.lists(LENGTHS, min_size=1, max_size=700), st.integers(1, 3))
def test_the_percentile_is_that_of_the_latest_512(lengths: list[int], rounds: int) -> None:
    """Filling, full, and long after."""
    window, seen = Window(), []
    for length in lengths * rounds:
        seen.append(length)
        assert window.add(length) == expected(seen[-512:])


def test_falling_lengths_empty_what_is_kept_and_it_is_filled_again() -> None:
    """Each new answer is shorter than all before, so that those kept in order run out one by one."""
    window, seen = Window(), []
    for length in range(5000, 0, -1):
        seen.append(length)
        assert window.add(length) == expected(seen[-512:])
