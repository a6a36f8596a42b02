"""The detectors of model calls on the sessions written by hand: loops in time, healthy work left alone."""

from __future__ import annotations

import pytest

from runguard_core import load_policy
from runguard_core.replay import Played, parse_run, play_many

from .recordings import ALL, Run

RULES = frozenset({"overflow", "context_growth", "truncation", "rate_limit", "delegation", "same_answer"})


def played(run: Run) -> Played:
    """A run through a guard with the defaults, or the run's own policy."""
    return next(iter(play_many([parse_run(run, place="sessions")], load_policy(None, {}).rules)))


@pytest.mark.parametrize("run", [run for run in ALL if "policy" not in run["labels"]], ids=lambda run: run["run_id"])
def test_what_they_say_is_right_and_in_time(run: Run) -> None:
    """A stop of theirs stands where one may stand, healthy work is neither stopped nor (unless that is tolerable) warned of."""
    labels, found = run["labels"], played(run)
    stopped = found.stop is not None and found.stop.rule in RULES
    warned = [warn.index for warn in found.warns if warn.rule in RULES]
    if labels["expect"] == "pass":
        assert not stopped, found.stop
        assert not warned or labels.get("warn_ok"), found.warns
    elif stopped:
        assert labels["not_before"] is not None
        assert labels["not_before"] <= found.stop.index <= labels["by_index"]  # type: ignore[union-attr]  # it was stopped
    if labels["rules"] and set(labels["rules"]) <= RULES | {"error_streak"} and labels["expect"] == "stop":
        assert stopped
    if labels["rules"] and set(labels["rules"]) <= RULES | {"error_streak"} and labels["expect"] == "warn":
        assert stopped or any(index <= labels["by_index"] for index in warned)
