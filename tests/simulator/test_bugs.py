"""The simulator is worth what it finds: bugs put into the production code, each found within so many worlds."""

from __future__ import annotations

import pytest

from tests.simulator.bugs import BUGS
from tests.simulator.judge import BrokenPromiseError
from tests.simulator.planting import Bug, planted
from tests.simulator.running import first_broken

FOUND = [bug for bug in BUGS if bug.seeds is not None]


@pytest.mark.parametrize("bug", FOUND, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    """With the seed to replay it in the message."""
    assert bug.seeds is not None
    with planted(bug):
        broken = first_broken(range(bug.start, bug.start + bug.seeds))
    assert isinstance(broken, BrokenPromiseError), f"{bug.name} was not found: {bug.breaks}"
    assert "replay: make simulate START=" in str(broken)


def test_the_code_is_whole_again_after_a_bug() -> None:
    """Every bug fits the code of today, also those that cannot be seen here; and it is gone afterwards."""
    for bug in BUGS:
        with planted(bug):
            pass
    assert first_broken(range(5)) is None


def test_there_are_enough_of_them() -> None:
    """The list is kept: a bug may be replaced, not dropped."""
    assert len(FOUND) >= 25
    assert all(bug.breaks.startswith(("equivalent", "cannot be seen here")) for bug in BUGS if bug.seeds is None)
