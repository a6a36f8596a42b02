"""`[detectors.NAME]` of the detectors that judge model calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from runguard_core import PolicyError, load_policy
from runguard_core.budgets import Mode
from runguard_core.detectors import (
    ContextGrowth,
    Delegation,
    Overflow,
    RateLimit,
    SameAnswer,
    Truncation,
    default_turn_detectors,
)
from runguard_core.policy import policy_schema

FULL = """
[detectors.overflow]
warn_ratio = 0.8
window_tokens = { "llama3.1" = 8192 }
[detectors.context_growth]
warn_tokens = 30000
warn_ratio = 3
stop_after = 6
stop_tokens = 190000
mode = "observe"
[detectors.truncation]
stop_after = 1
flat_after = 3
[detectors.rate_limit]
warn_after = 2
stop_after = 6
window_seconds = 3600
[detectors.delegation]
warn_after = 3
stop_after = 6
mode = "off"
[detectors.same_answer]
warn_after = 2
stop_after = 4
idle_after = 20
"""


def rules(folder: Path, text: str):  # noqa: ANN201
    """What a file boils down to."""
    path = folder / "runguard.toml"
    path.write_text(text)
    return load_policy(path, {}).rules


def test_every_knob_reaches_its_detector(tmp_path: Path) -> None:
    """And a detector that is off is not even asked."""
    found = rules(tmp_path, FULL)
    assert set(map(repr, found.turn_detectors)) == {
        repr(Overflow(0.8, {"llama3.1": 8192})), repr(ContextGrowth(30_000, 3.0, stop_after=6, stop_tokens=190_000)), repr(Truncation(1, 3)),
        repr(RateLimit(2, 6, 3600.0)), repr(Delegation(3, 6)), repr(SameAnswer(2, 4, 20)),
    }  # fmt: skip
    assert found.detector_modes == {"context_growth": Mode.OBSERVE, "delegation": Mode.OFF}
    assert [one.rule for one in found.active_turn_detectors()] == [
        "overflow",
        "truncation",
        "rate_limit",
        "same_answer",
        "context_growth",
    ]


def test_advice_is_asked_for_beside_the_detectors(tmp_path: Path) -> None:
    """Off unless it is."""
    assert rules(tmp_path, "").advise is False
    assert rules(tmp_path, "[detectors]\nadvise = true\n[detectors.overflow]\nwarn_ratio = 0.8").advise is True


def test_an_empty_file_has_the_defaults_of_the_code(tmp_path: Path) -> None:
    """Written down twice, the same both times."""
    assert rules(tmp_path, "").turn_detectors == default_turn_detectors()


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("[detectors.overflow]\nwarn_share = 1", "detectors.overflow.warn_share", "did you mean 'warn_ratio'"),
        ("[detectors.same_answer]\nstop_after = 1", "detectors.same_answer.stop_after", "greater than or equal to 2"),
        ("[detectors.rate_limit]\nstop_after = 0", "detectors.rate_limit.stop_after", "greater than or equal to 1"),
        ('[detectors.context_growth]\nstop_tokens = "many"', "detectors.context_growth.stop_tokens", "a whole number"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, key: str, said: str) -> None:
    """By its key, with what belongs there."""
    with pytest.raises(PolicyError) as caught:
        rules(tmp_path, text)
    assert caught.value.key == key
    assert said in caught.value.expected


def test_the_schema_knows_them() -> None:
    """An editor can complete them."""
    shown = policy_schema()["$defs"]["DetectorsTable"]["properties"]
    assert {"overflow", "context_growth", "truncation", "rate_limit", "delegation", "same_answer"} <= shown.keys()
