"""Recordings in tests: what each would have cost up to where a policy stops it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from runguard_core.guard import Rules
from runguard_core.money import format_usd
from runguard_core.replay import Played, play_many, read_recordings, recording_files
from runguard_core.testing._plugin_costs import Limits


def play_within(files: Sequence[str | Path], rules: Rules, limits: Limits, stopped_by: str | None) -> list[Played]:
    """Play recordings under a policy; each must stay within the limits and be stopped by the rule, if one is named.

    Raises:
        AssertionError: naming every run that does not, and where it was stopped.
        RecordingError: a file that is none.
    """
    played = list(play_many(read_recordings(recording_files(files)), rules))
    wrong = [f"  - {line}" for one in played for line in _complaints(one, limits, stopped_by)]
    if wrong:
        raise AssertionError("\n".join(["RunGuard: recorded runs are not what they should be:", *wrong]))
    return played


def _complaints(one: Played, limits: Limits, stopped_by: str | None) -> Iterator[str]:
    where = "it is never stopped" if one.stop is None else f"it is stopped at event {one.stop.index} by {one.stop.rule}"
    nanos, tokens = one.total_nanos - one.saved.nanos, one.whole.tokens - one.saved.tokens
    turns = one.whole.turn_count - one.saved.turn_count
    if limits.max_nanos is not None and nanos > limits.max_nanos:
        yield f"{one.run_id} costs {format_usd(nanos)}, at most {format_usd(limits.max_nanos)} are allowed (max_usd); {where}"
    if limits.max_turns is not None and turns > limits.max_turns:
        yield f"{one.run_id} takes {turns:,} turns, at most {limits.max_turns:,} are allowed (max_turns); {where}"
    if limits.max_tokens is not None and tokens > limits.max_tokens:
        yield f"{one.run_id} uses {tokens:,} tokens, at most {limits.max_tokens:,} are allowed (max_tokens); {where}"
    if stopped_by is not None and (one.stop is None or one.stop.rule != stopped_by):
        yield f"{one.run_id} must be stopped by {stopped_by}; {where}"
    if limits.max_nanos is not None and one.whole.untold_count:
        yield f"{one.run_id}: max_usd cannot be checked, the cost of {one.whole.untold_count} model calls is not known"
