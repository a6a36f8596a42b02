"""The practice's checklist: every item has its place or its reason, and every place a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "finops.md"
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))


@cache
def names_in(file: str) -> frozenset[str]:
    """Functions of a test file, those in classes included."""
    tree = ast.parse((TOP / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_item_is_there_once() -> None:
    """1 to 82, in order."""
    assert [int(number) for number, *_ in ROWS] == list(range(1, 83))


@pytest.mark.parametrize(("number", "tests"), [(number, tests) for number, _, _, tests in ROWS])
def test_what_is_there_is_tested(number: str, tests: str) -> None:
    """A test by file and name, or the words "not built" with the reason beside them."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", tests)
    assert named or tests.startswith("not built"), number
    for file, name in named:
        assert name in names_in(file), f"{file}::{name}"
