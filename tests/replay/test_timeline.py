"""When the events of a recording happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runguard_core.replay._timeline import STEP, RecordedClock, moments

from .recorded import run

BEGIN = datetime(2026, 11, 25, 12, tzinfo=UTC)


def starts(*events: dict[str, Any], **more: Any) -> list[float]:
    """Seconds after the first event."""
    found = moments(run(*({"kind": "llm", **event} for event in events), **more), BEGIN)
    return [round((moment.start - found[0].start).total_seconds(), 3) for moment in found]


def test_without_times_events_go_in_steps_from_noon() -> None:
    """Far from the borders of any window."""
    found = moments(run(*({"kind": "llm"} for _ in range(3))), BEGIN)
    assert [moment.start for moment in found] == [BEGIN + STEP, BEGIN + 2 * STEP, BEGIN + 3 * STEP]


def test_recorded_times_hold_in_any_way_of_writing_them() -> None:
    """ISO with and without zone, seconds and milliseconds since 1970, seconds since the run's begin."""
    assert starts({"ts": "2026-01-01T00:00:00Z"}, {"ts": "2026-01-01T01:00:05+01:00"}) == [0, 5]
    assert starts({"ts": 1_767_225_600}, {"ts": 1_767_225_605_000}) == [0, 5]
    assert starts({"t_s": 0}, {"t_s": 7.5}, started_at="2026-01-01") == [0, 7.5]
    assert starts({"ts": "nonsense"}, {"ts": -1}, {"ts": True}) == [0, 1, 2]


def test_local_stamps_beside_utc_are_set_right_by_the_quarter_hour() -> None:
    """A recorder that writes model calls in UTC and tools in local time."""
    utc, local = "2026-01-01T00:00:{:02}Z", "2026-01-01T08:00:{:02}"
    assert starts({"ts": utc.format(0)}, {"ts": local.format(3)}, {"ts": utc.format(5)}, {"ts": local.format(9)}) == [0, 3, 5, 9]


def test_stamps_at_the_ends_of_the_calendar_break_nothing() -> None:
    """A stamp of year 1 in local time, and seconds after a run that begins in 9999: such instants are not known."""
    early = [{"ts": "0001-01-01T00:00:00+00:00"}, {"ts": "0001-01-01T05:00:00"}, {"ts": 5}, {"ts": "2020-01-01T00:00:00"}]
    assert len(starts(*early)) == 4
    assert len(starts({"t_s": 10}, {"t_s": 10**8}, started_at="9999-12-31T23:59:59Z")) == 2


def test_time_never_goes_back_and_unstamped_events_follow_at_once() -> None:
    """Each event has an instant of its own."""
    found = moments(
        run({"ts": "2026-01-01T00:00:10Z"}, {"ts": "2026-01-01T00:00:00Z"}, {}, {"ts": "2026-01-01T00:00:20Z"}), BEGIN
    )
    assert all(early.start < late.start for early, late in pairwise(found))
    assert (found[2].start - found[0].start) < timedelta(milliseconds=1)


def test_calls_lie_side_by_side_only_where_that_was_recorded() -> None:
    """Begin and end recorded: as they were. Begin alone, or a duration alone: over before the next one begins."""
    at = "2026-01-01T00:00:{:02}Z"
    beside = moments(run({"ts": at.format(0), "end_ts": at.format(9)}, {"ts": at.format(1), "end_ts": at.format(2)}), BEGIN)
    assert beside[0].end > beside[1].end
    after = moments(run({"duration_s": 100}, {"duration_s": 100}), BEGIN)
    assert after[0].end < after[1].start


def test_events_closer_than_the_clock_can_show_do_not_run_into_each_other() -> None:
    """Stamps that had to be moved apart move no end past the next begin."""
    stamp = "2026-01-01T00:00:00.{:06}Z"
    events = [{"ts": stamp.format(place // 3), "duration_s": 0} for place in range(300)]
    events += [{"ts": stamp.format(1000 + 500 * place), "duration_s": 0.0004} for place in range(5)]
    found = moments(run(*events), BEGIN)
    assert all(early.end <= late.start for early, late in pairwise(found))


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_every_event_ends_after_it_begins(times: list[tuple[float, float]]) -> None:
    """And each begins after the one before, whatever was recorded."""
    found = moments(run(*({"ts": at, "duration_s": lasted} for at, lasted in times)), BEGIN)
    assert all(moment.start < moment.end for moment in found)
    assert all(early.start < late.start for early, late in pairwise(found))


def test_the_clock_goes_forward_only() -> None:
    """Wall time and stopwatch together."""
    clock = RecordedClock(BEGIN)
    clock.move_to(BEGIN + timedelta(seconds=5))
    later = clock.move_to(BEGIN)
    assert later > BEGIN + timedelta(seconds=5)
    assert abs(clock.monotonic() - 5) < 0.001
