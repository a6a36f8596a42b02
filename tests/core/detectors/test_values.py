"""Digests of values: equal for what is equal, different for what differs, whatever a caller's objects do."""

from __future__ import annotations

import datetime as dt
import enum
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.calls import ToolCall
from runguard_core.detectors import DEFAULT_VOLATILE_KEYS, Fingerprint, canonical, result_mark, signature

KEY = Fingerprint(b"k")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def mark(value: Any) -> str:
    """Signature of a call with this argument."""
    return signature(ToolCall(name="f", arguments={"a": value}), KEY)


@dataclass(frozen=True, slots=True)
class Slotted:
    """Has no `__dict__`."""

    size: int


class Plain:
    """Its `repr` is an address."""

    def __init__(self, size: int) -> None:
        self.size = size


class Colour(enum.Enum):
    """Two members."""

    RED = 1
    BLUE = 2


def _nested(value: int, levels: int) -> Any:
    found: Any = value
    for _ in range(levels):
        found = [found]
    return found


DIFFERENT: list[tuple[Any, Any]] = [
    (dt.date(2024, 1, 1), dt.date(2024, 1, 2)),
    (dt.timedelta(1), dt.timedelta(2)),
    (Decimal(1), Decimal(2)),
    (PurePosixPath("a"), PurePosixPath("b")),
    (Slotted(1), Slotted(2)),
    (Plain(1), Plain(2)),
    (Colour.RED, Colour.BLUE),
    (b"one", b"two"),
    (bytearray(b"a"), bytearray(b"b")),
    (memoryview(b"a"), memoryview(b"b")),
    (range(1), range(2)),
    (1j, 2j),
    ({1}, {2}),
    (_nested(1, 40), _nested(2, 40)),
    ([0] * 3000 + [1], [0] * 3000 + [2]),
    ("x" * 200_000 + "a", "x" * 200_000 + "b"),
    (10**5000, 10**6000),
    (True, 1),
    (1, "1"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=lambda value: type(value).__name__)
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    """Else three calls for three days look like one call made three times."""
    assert mark(one) != mark(other)
    assert result_mark([one], KEY) != result_mark([other], KEY)


def test_ids_are_different_as_arguments_and_equal_in_results() -> None:
    """A result that differs only in an id is no change; asking for another id is another call."""
    one, other = UUID(int=1), UUID(int=2)
    assert mark(one) != mark(other)
    assert result_mark({"got": one}, KEY) == result_mark({"got": other}, KEY)


@pytest.mark.parametrize(
    "make", [lambda: Plain(1), object, lambda: {object(): 1}, lambda: Slotted(1), lambda: dt.date(2024, 1, 1)]
)
def test_equal_values_have_equal_digests_wherever_they_live(make: Any) -> None:
    """Addresses do not count. Both are alive at once, so that their addresses differ."""
    one, other = make(), make()
    assert mark(one) == mark(other)


@given(JSON)
def test_a_value_and_its_copy_are_equal(value: Any) -> None:
    """Key order, and tuples for lists, make no difference."""
    assert mark(value) == mark(_turned(value))


def _turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _turned(item) for key, item in reversed(value.items())}
    return tuple(_turned(item) for item in value) if isinstance(value, list) else value


@given(st.text(max_size=20), JSON)
def test_volatile_keys_are_left_out_at_any_depth(noise: str, value: Any) -> None:
    """However they are spelled."""
    for key in ("request_id", "RequestId", "request-id"):
        assert mark([{"q": value}]) == mark([{"q": value, key: noise}])


class RaisingRepr:
    """As a key or a value."""

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        raise RuntimeError


class RaisingAttributes:
    """Even `__class__` raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class RaisingMapping(Mapping[str, int]):
    """Cannot be walked."""

    def __getitem__(self, key: str) -> int:
        raise OSError

    def __iter__(self) -> Iterator[str]:
        raise OSError

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    "make",
    [RaisingRepr, lambda: {RaisingRepr(): 1}, RaisingAttributes, lambda: [RaisingMapping()]],
    ids=["repr", "key", "attributes", "mapping"],
)
def test_objects_that_raise_have_a_digest_and_hide_nothing_beside_them(make: Any) -> None:
    """What cannot be read is its type; what stands beside it still counts."""
    assert mark([make(), 1]) == mark([make(), 1])
    assert mark([make(), 1]) != mark([make(), 2])
    assert result_mark([make(), 1], KEY) != result_mark([make(), 2], KEY)


def _shared(width: int, levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found] * width
    return found


def _circles(width: int) -> Any:
    found: dict[str, Any] = {}
    found.update({str(index): found for index in range(width)})
    return found


@pytest.mark.parametrize("value", [_shared(10, 25), _circles(8), [[1] * 2000] * 2000], ids=["shared", "circles", "wide"])
def test_structures_that_unfold_without_end_are_read_in_bounded_time(value: Any) -> None:
    """Ten to the twenty-fifth values by following references, some thousands by looking."""
    start = time.process_time()
    text = canonical(value, DEFAULT_VOLATILE_KEYS)
    assert time.process_time() - start < 2
    assert len(text) < 1_000_000


def test_many_long_texts_are_read_in_bounded_space_and_told_apart_to_the_end() -> None:
    """A hundred megabytes of pages: what is over the bound counts by its digest."""
    pages = ["2026-11-25 page " * 6_000] * 1_000
    text = canonical(pages, frozenset())
    assert len(text) < 1_500_000
    assert text == canonical(list(pages), frozenset())
    assert text != canonical([*pages[:-1], f"{pages[-1]}!"], frozenset())
