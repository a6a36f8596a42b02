"""Tables on narrow terminals."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from runguard_core.cli._tables import Column, figure, name, print_table

COLUMNS = [name("session"), figure("USD"), Column("bar", spare=2), figure("calls", 1)]
ROWS = [("looping-01m88vf9sw", "$0.0002394", "█" * 10, "3"), ("healthy-01m88vf9sw", "$12.00", "█" * 10, "12")]


def printed(width: int, rows: list[tuple[str, ...]] = ROWS) -> list[str]:
    """The lines of the table."""
    console = Console(file=io.StringIO(), width=width, emoji=False)
    print_table(console, "Title", COLUMNS, rows)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # it is a StringIO
    assert all(len(line) <= width for line in lines)
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize(
    ("width", "header", "left_out"),
    [
        (60, ["session", "USD", "bar", "calls"], None),
        (45, ["session", "USD", "calls"], "too narrow for: bar"),
        (32, ["session", "USD"], "too narrow for: bar, calls"),
    ],
)
def test_what_can_be_spared_goes_before_a_name_is_torn(width: int, header: list[str], left_out: str | None) -> None:
    """One line a row; what is missing is named."""
    _, head, *rows = printed(width)
    assert head.split() == header
    assert [row.split()[0] for row in rows[:2]] == ["looping-01m88vf9sw", "healthy-01m88vf9sw"]
    assert rows[2:] == ([left_out] if left_out else [])


def test_a_name_longer_than_the_terminal_is_folded_and_figures_stay_whole() -> None:
    """Nothing is cut off."""
    text = "".join(line.split()[0] for line in printed(60, [("x" * 300, "$0.0002394", "█", "3")])[2:])
    assert text.count("x") == 300
    assert "$0.0002394" in "\n".join(printed(60, [("x" * 300, "$0.0002394", "█", "3")]))
