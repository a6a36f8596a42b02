"""Ids sort by time and never repeat."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.ids import encode_id, new_id


def test_ids_made_later_sort_later() -> None:
    """Also within one millisecond."""
    made = [new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == 5000
    assert {len(one) for one in made} == {26}


def test_threads_never_share_an_id() -> None:
    """Eight at once."""
    with ThreadPoolExecutor(8) as pool:
        made = [one for some in pool.map(lambda _: [new_id() for _ in range(500)], range(8)) for one in some]
    assert len(set(made)) == 4000


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_text_sorts_like_the_number(one: int, other: int) -> None:
    """So that text columns can be sorted."""
    assert (encode_id(one) < encode_id(other)) is (one < other)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_makes_ids_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parent and child begin with the same memory in the same millisecond, and share no id then or in the next one."""
    clock = [10**18]
    monkeypatch.setattr("time.time_ns", lambda: clock[0])

    def some() -> list[str]:
        now = [new_id() for _ in range(25)]
        clock[0] += 10**6
        return now + [new_id() for _ in range(25)]

    new_id()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        os.write(writing, " ".join(some()).encode())
        os._exit(0)
    mine = set(some())
    os.waitpid(pid, 0)
    theirs = set(os.read(reading, 10_000).decode().split())
    os.close(reading), os.close(writing)
    assert len(mine | theirs) == 100
